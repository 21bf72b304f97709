"""The circuit breaker of one target: a target that does not answer is left alone for a while."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Callable
from typing import Final

from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.resilience.window import Window

LAST_RESORT_EVERY: Final = 1.0
"""Seconds between two calls that go through although all of the call's candidates are shut."""
RAMP_START: Final = 0.1
"""The share of its traffic that a target gets at the moment its breaker closes."""
JITTER: Final = 0.1
"""How far the time that it stays open is moved at most, so that breakers do not probe together."""


class BreakerState(enum.Enum):
    """What a breaker lets through: everything, nothing, or one probe at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permit:
    """Leave for one call, to be settled once; what is said of it after that is ignored."""

    __slots__ = ("_generation", "_is_settled", "is_probe")

    def __init__(self, generation: int, *, is_probe: bool) -> None:
        self.is_probe = is_probe
        self._generation = generation
        self._is_settled = False


class CircuitBreaker:
    """Opens when calls fail or are late, and closes after some probes went well.

    Each change of state begins a generation; the result of a call that was admitted in an older
    one says nothing of now and does not count. Time that goes backwards stands still. Nothing
    here raises, whatever the order of calls.
    """

    def __init__(
        self, settings: BreakerSettings, random: Callable[[], float] = random.random
    ) -> None:
        self._settings = settings
        self._random = random
        self._window = Window(settings.window)
        self._state = BreakerState.CLOSED
        self._generation = 0
        self._now = -math.inf
        self._failed_in_a_row = 0
        self._closed_at = -math.inf
        self._open_for = min(settings.open, settings.longest_open)
        self._open_until = -math.inf
        self._probe: Permit | None = None
        self._probes_succeeded = 0
        self._last_resort_at = -math.inf

    def state(self, now: float) -> BreakerState:
        """Its state; an open one whose time is over is half-open."""
        if self._state is BreakerState.OPEN and max(self._now, now) >= self._open_until:
            return BreakerState.HALF_OPEN
        return self._state

    def admits(self, now: float) -> bool:
        """Whether `admit` would give a permit. Changes nothing."""
        state = self.state(now)
        if state is BreakerState.HALF_OPEN:
            return self._probe is None
        return state is BreakerState.CLOSED

    def admit(self, now: float) -> Permit | None:
        """Leave for a call, if there is any.

        A half-open breaker gives leave to one probe at a time. The slot stays taken until that
        probe is settled, even if the breaker has opened and become half-open anew meanwhile.
        """
        self._move_to(now)
        if not self.admits(now):
            return None
        permit = Permit(self._generation, is_probe=self._state is BreakerState.HALF_OPEN)
        if permit.is_probe:
            self._probe = permit
        return permit

    def admit_last_resort(self, now: float) -> Permit | None:
        """Leave for a call all of whose candidates are shut.

        Once a second a call goes through although the breaker is open or its slot is taken.
        """
        permit = self.admit(now)
        if permit is not None:
            return permit
        if self._now - self._last_resort_at < LAST_RESORT_EVERY:
            return None
        self._last_resort_at = self._now
        return Permit(self._generation, is_probe=True)

    def retry_at(self, now: float) -> float:
        """When it may admit a call next; `now` if it admits one.

        A probe in flight may be settled at any moment: then it is a second from now.
        """
        if self.admits(now):
            return now
        if self.state(now) is BreakerState.OPEN:
            return self._open_until
        return now + LAST_RESORT_EVERY

    def share(self, now: float) -> float:
        """The share of its usual traffic that the target should get, from 0 to 1.

        After closing it rises from 0.1 to 1 over the ramp. It is 0 while the breaker is open, and
        1 while it is half-open: there the single slot bounds the traffic.
        """
        state = self.state(now)
        if state is BreakerState.OPEN:
            return 0.0
        closed_for = max(self._now, now) - self._closed_at
        if state is BreakerState.HALF_OPEN or closed_for >= self._settings.ramp:
            return 1.0
        return RAMP_START + (1 - RAMP_START) * closed_for / self._settings.ramp

    def succeeded(self, permit: Permit, now: float, *, slow: bool = False) -> None:
        """The call was answered.

        Args:
            permit: The call's.
            now: Monotonic seconds.
            slow: Its first content was late. A probe's success counts all the same.
        """
        if not self._settle(permit, now):
            return
        if self._state is BreakerState.CLOSED:
            self._failed_in_a_row = 0
            self._count(slow=slow)
            return
        if self._state is BreakerState.OPEN:
            self._half_open()
        self._probes_succeeded += 1
        if self._probes_succeeded >= self._settings.probes:
            self._close()

    def failed(self, permit: Permit, now: float) -> None:
        """The call ended with a fault of the target."""
        self._went_wrong(permit, now, slow=False)

    def timed_out(self, permit: Permit, now: float) -> None:
        """No first content came in time: a slow call, and a failure in the run of failures."""
        self._went_wrong(permit, now, slow=True)

    def released(self, permit: Permit) -> None:
        """The call decides nothing: a caller who went away or is at fault, or backpressure.

        A probe gives its slot back.
        """
        permit._is_settled = True
        if self._probe is permit:
            self._probe = None

    def _went_wrong(self, permit: Permit, now: float, *, slow: bool) -> None:
        if not self._settle(permit, now):
            return
        if self._state is BreakerState.CLOSED:
            self._failed_in_a_row += 1
            self._count(failed=not slow, slow=slow)
        elif self._state is BreakerState.HALF_OPEN:
            self._open_for = min(2 * self._open_for, self._settings.longest_open)
            self._open()
        # A last resort that fails tells nothing new of an open breaker.

    def _settle(self, permit: Permit, now: float) -> bool:
        """Whether its result counts."""
        if permit._is_settled:
            return False
        self._move_to(now)
        self.released(permit)
        return permit._generation == self._generation

    def _move_to(self, now: float) -> None:
        self._now = max(self._now, now)
        if self._state is BreakerState.OPEN and self._now >= self._open_until:
            self._half_open()

    def _count(self, *, failed: bool = False, slow: bool = False) -> None:
        settings, window = self._settings, self._window
        window.add(self._now, failed=failed, slow=slow)
        is_bad = window.calls >= settings.minimum_calls and (
            window.failed / window.calls >= settings.failures
            or window.slow / window.calls >= settings.slow
        )
        if not is_bad and self._failed_in_a_row < settings.consecutive:
            return
        if self._now - self._closed_at >= settings.window:
            self._open_for = min(settings.open, settings.longest_open)
        self._open()

    def _open(self) -> None:
        self._generation += 1
        self._state = BreakerState.OPEN
        spread = 1 + JITTER * (2 * self._random() - 1)
        self._open_until = self._now + min(self._open_for * spread, self._settings.longest_open)

    def _half_open(self) -> None:
        self._generation += 1
        self._state = BreakerState.HALF_OPEN
        self._probes_succeeded = 0

    def _close(self) -> None:
        self._generation += 1
        self._state = BreakerState.CLOSED
        self._closed_at = self._now
        self._failed_in_a_row = 0
        self._window.clear()
