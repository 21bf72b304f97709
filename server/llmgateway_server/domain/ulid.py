"""ULIDs: 48 bits of Unix milliseconds, 80 random bits, in Crockford's base 32.

Source: https://github.com/ulid/spec.
"""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def new_ulid() -> str:
    """A fresh ULID of 26 upper-case characters."""
    value = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])
