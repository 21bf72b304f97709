"""ULIDs: 48 bits of Unix milliseconds, 80 random bits, in Crockford's base 32.

Source: https://github.com/ulid/spec.
"""

from __future__ import annotations

import random
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
# Seeded by the system. An id is no secret, and asking the system for each costs more than the rest.
_random = random.Random()  # noqa: S311


def new_ulid() -> str:
    """A fresh ULID of 26 upper-case characters."""
    # The timestamp has 50 bits of its own, two of them zero; small numbers are fast numbers.
    return (
        _coded(time.time_ns() // 1_000_000, 40)
        + _coded(_random.getrandbits(40), 30)
        + _coded(_random.getrandbits(40), 30)
    )


def _coded(number: int, shift: int) -> str:
    """The number's bits from `shift` + 10 down, two characters for each 10."""
    pairs = _PAIRS
    if shift == 30:
        return (
            pairs[number >> 30]
            + pairs[number >> 20 & 1023]
            + pairs[number >> 10 & 1023]
            + pairs[number & 1023]
        )
    return pairs[number >> 40 & 1023] + _coded(number & 0xFF_FFFF_FFFF, 30)
