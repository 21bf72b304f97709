"""The timers of one call to a provider; all ours, since no HTTP client's timeouts catch a drip."""

from __future__ import annotations

from msgspec import Struct


class Timers(Struct, frozen=True):
    """Seconds.

    `pool` waits for a free connection slot, `connect` for TCP and TLS, `first_content` from the
    start of the attempt to its first content, `idle_bytes` between any two reads and
    `idle_content` between two pieces of content (comments and pings are none) after that.
    """

    connect: float = 5.0
    pool: float = 1.0
    first_content: float = 60.0
    idle_bytes: float = 15.0
    idle_content: float = 30.0
