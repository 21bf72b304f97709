"""Ids of events: ULIDs (github.com/ulid/spec), and the framework's ids of text streams."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

# Crockford's base 32, upper case: python-ulid 3 rejects lower case.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple((a + b).encode() for a in _ALPHABET for b in _ALPHABET)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LETTERS_AND_DIGITS = "0123456789" + _LETTERS


def ulid(value: int) -> bytes:
    """The 26 characters of a ULID, from its 128 bits."""
    return b"".join(_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10))


def clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class UlidSequence:
    """Strictly increasing ULIDs of one response, none of them later than the clock.

    The random half is drawn once and counts up by one an id; the time is the clock's, or the latest
    one seen should the clock go back. The draw leaves the top bit clear, so that the count cannot
    overflow within 2**79 ids.

    Args:
        now_ms: The clock, in milliseconds since 1970.
        randbits: A random integer of as many bits.
    """

    __slots__ = ("_count", "_ms", "_now_ms", "_prefix")

    def __init__(
        self,
        now_ms: Callable[[], int] = clock_ms,
        randbits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._now_ms = now_ms
        self._count = randbits(79)
        self._ms = -1
        self._prefix = b""

    def next(self) -> bytes:
        """The next id: 26 upper-case characters of ASCII."""
        ms = self._now_ms()
        count = self._count = self._count + 1
        low = count & 1023
        # All but the last two characters change only with the time or every 1,024 ids.
        if ms > self._ms or not low:
            self._ms = max(ms, self._ms)
            self._prefix = ulid(self._ms << 80 | count)[:-2]
        return self._prefix + _PAIRS[low]


def stream_id() -> str:
    """A new id of a text stream: ten characters, the first a letter, as the framework's cuid2."""
    rest, first = divmod(secrets.randbits(64), 26)
    letters = [_LETTERS[first]]
    for _ in range(9):
        rest, digit = divmod(rest, 36)
        letters.append(_LETTERS_AND_DIGITS[digit])
    return "".join(letters)
