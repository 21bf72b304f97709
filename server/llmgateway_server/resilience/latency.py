"""What a target usually takes: one figure to compare targets by, and the quantiles of late."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence


class PeakEwma:
    """A moving average that believes bad news at once and good news slowly.

    A higher sample replaces it; a lower one draws it down by the time since the last sample.
    Without samples it fades towards 0, so that a target which nobody asks is tried again. This is
    the metric of Finagle's load balancer, and of Linkerd's after it
    (https://github.com/twitter/finagle, loadbalancer/PeakEwma.scala).
    Time that goes backwards stands still.
    """

    __slots__ = ("_at", "_decay", "_value")

    def __init__(self, decay: float = 10.0) -> None:
        """An average without samples.

        Args:
            decay: Seconds in which the weight of the past falls to 1/e.
        """
        self._decay = decay
        self._value: float | None = None
        self._at = 0.0

    def observe(self, value: float, now: float) -> None:
        """Takes a sample, not less than 0, into account."""
        if self._value is None:
            self._value = value
            self._at = now
            return
        if value < self._value:
            weight = self._weight(now)
            self._value = self._value * weight + value * (1 - weight)
        else:
            self._value = value
        self._at = max(self._at, now)

    def value(self, now: float) -> float | None:
        """The average as of now; None before the first sample."""
        if self._value is None:
            return None
        return self._value * self._weight(now)

    def _weight(self, now: float) -> float:
        return math.exp(-max(0.0, now - self._at) / self._decay)


class Quantile:
    """Quantiles of the newest samples, by nearest rank; None below `least` samples."""

    __slots__ = ("_least", "_samples", "_sorted")

    def __init__(self, size: int = 128, least: int = 20) -> None:
        self._least = least
        self._samples: deque[float] = deque(maxlen=size)
        self._sorted: Sequence[float] | None = None

    def observe(self, value: float) -> None:
        """Takes a sample, and drops the oldest if there are too many."""
        self._samples.append(value)
        self._sorted = None

    def quantile(self, q: float) -> float | None:
        """The least sample that a share `q` of the samples, from 0 to 1, does not exceed."""
        if len(self._samples) < self._least:
            return None
        if self._sorted is None:
            self._sorted = sorted(self._samples)
        rank = math.ceil(q * len(self._sorted))
        return self._sorted[max(rank, 1) - 1]
