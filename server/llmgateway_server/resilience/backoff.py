"""How long a retry waits where the provider does not say it.

Full jitter: the whole time is drawn, so that calls which failed together do not come back together
(https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

FAULT_BASE: Final = 0.05
"""Seconds: the most that the first retry after a fault waits."""
BACKPRESSURE_BASE: Final = 1.0
"""The same after a 429 or 529."""
LONGEST: Final = 8.0
"""Seconds that no back-off exceeds."""

# Far beyond LONGEST for every base, and still a float.
_MOST_DOUBLINGS = 1000


def full_jitter(retry: int, base: float, random: Callable[[], float]) -> float:
    """Seconds to wait, drawn evenly from 0 to `base`, doubled for each retry before.

    Args:
        retry: 0 for the first retry.
        base: Seconds.
        random: Draws from 0 (included) to 1 (excluded).
    """
    return random() * min(LONGEST, base * 2.0 ** min(retry, _MOST_DOUBLINGS))
