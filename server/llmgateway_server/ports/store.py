"""The store port: where finished answers are kept."""

from __future__ import annotations

from typing import Protocol


class ResponseStore(Protocol):
    """Keeps bytes by key for a while. A store that fails is one that has nothing; never raises."""

    async def get(self, key: bytes) -> bytes | None:
        """What was put under the key, unless it is gone or too old."""

    async def put(self, key: bytes, value: bytes, ttl: float) -> None:
        """Keeps the value for `ttl` seconds at most; less where room is needed."""
