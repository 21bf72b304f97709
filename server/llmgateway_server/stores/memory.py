"""A response store in the memory of this process."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import Final

from msgspec import Struct

from llmgateway_server.ports.clock import Clock

OVERHEAD: Final = 512
"""Bytes that an entry takes besides those of its key and its value."""
_LARGEST_SHARE = 8
# Below so many, moments of entries that are gone are not worth a look.
_FEW_MOMENTS = 64


class _Kept(Struct, frozen=True, gc=False):
    value: bytes
    expires: float


class MemoryStore:
    """Keeps what was used last, within `max_bytes`; fulfils `ResponseStore`.

    An entry above an eighth of that is not kept: it would cost too many others.
    """

    def __init__(self, max_bytes: int, clock: Clock) -> None:
        self.used_bytes = 0
        self._max_bytes = max_bytes
        self._clock = clock
        # The one used longest ago first.
        self._entries: OrderedDict[bytes, _Kept] = OrderedDict()
        # When entries expire, the next one first; those of entries that are gone stay in it.
        self._moments: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: bytes) -> bytes | None:
        """What was put under the key, unless it is gone or too old."""
        kept = self._entries.get(key)
        if kept is None:
            return None
        if kept.expires <= self._clock.time():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return kept.value

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keeps the value for `ttl` seconds at most; less where room is needed.

        What was under the key before is gone in any case.
        """
        if key in self._entries:
            self._drop(key)
        size = _size(key, value)
        if size * _LARGEST_SHARE > self._max_bytes or ttl <= 0:
            return
        now = self._clock.time()
        if self.used_bytes + size > self._max_bytes:
            self._drop_expired(now)
        while self.used_bytes + size > self._max_bytes:
            self._drop(next(iter(self._entries)))
        self._entries[key] = _Kept(value, now + ttl)
        self.used_bytes += size
        heapq.heappush(self._moments, (now + ttl, key))
        if len(self._moments) > 2 * len(self._entries) + _FEW_MOMENTS:
            self._moments = [(kept.expires, key) for key, kept in self._entries.items()]
            heapq.heapify(self._moments)

    def _drop(self, key: bytes) -> None:
        self.used_bytes -= _size(key, self._entries.pop(key).value)

    def _drop_expired(self, now: float) -> None:
        while self._moments and self._moments[0][0] <= now:
            _, key = heapq.heappop(self._moments)
            kept = self._entries.get(key)
            # The key may have been put again since, for longer.
            if kept is not None and kept.expires <= now:
                self._drop(key)


def _size(key: bytes, value: bytes) -> int:
    return len(key) + len(value) + OVERHEAD
