"""The timers of one call to a provider; all ours, since no HTTP client's timeouts catch a drip."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

FIRST_CONTENT: Final = 60.0
"""Seconds to the first content of the last candidate, where nothing else is set."""
FIRST_CONTENT_IN_RESERVE: Final = 10.0
"""The same while another candidate is in reserve; longer for a target that usually takes longer."""


class Timers(Struct, frozen=True):
    """Seconds.

    `pool` waits for a free connection slot, `connect` for TCP and TLS, `first_content` from the
    start of the attempt to its first content (None: not set, see `first_content_within`),
    `idle_bytes` between any two reads and `idle_content` between two pieces of content (comments
    and pings are none) after that.
    """

    connect: float = 5.0
    pool: float = 1.0
    first_content: float | None = None
    idle_bytes: float = 15.0
    idle_content: float = 30.0

    def first_content_within(self, *, in_reserve: bool, usual: float | None) -> float:
        """How long an attempt may take to its first content.

        Args:
            in_reserve: Another candidate could be asked after this one.
            usual: The target's p95 time to first token, where it is known.
        """
        if self.first_content is not None:
            return self.first_content
        if not in_reserve:
            return FIRST_CONTENT
        return max(FIRST_CONTENT_IN_RESERVE, 4 * (usual or 0.0))
