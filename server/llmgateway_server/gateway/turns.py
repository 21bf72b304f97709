"""Whose turn it is: which candidate of a call is asked next, and after which wait."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.gateway.alarm import Deadline
from llmgateway_server.gateway.verdict import unavailable
from llmgateway_server.ports.clock import Clock
from llmgateway_server.resilience.backoff import BACKPRESSURE_BASE, FAULT_BASE, full_jitter
from llmgateway_server.resilience.failure import RULES, FailureClass, class_of
from llmgateway_server.routing.candidates import Prospect
from llmgateway_server.routing.target_state import Shut

# A provider that asks for a longer wait is left alone; seconds. The vendors' own SDKs wait 60.
_LONGEST_WAIT: Final = 120.0
# So that calls that wait for the same moment do not come in the same moment.
_SPREAD: Final = 0.1

Eligible = Callable[[Prospect], bool]


def anybody(_: Prospect) -> bool:
    """Every candidate is eligible."""
    return True


class Turn(Struct, frozen=True, eq=False):
    """Who is asked next, after a wait in seconds; `fresh`: on a connection nobody has used."""

    prospect: Prospect
    wait: float = 0.0
    fresh: bool = False
    last_resort: bool = False


class _Tried:
    """What came of a target in this call."""

    def __init__(self) -> None:
        self.failures = 0
        self.kind = FailureClass.NOBODYS
        self.not_before = 0.0


class Turns:
    """The candidates of one call, what came of them, and who may be asked still.

    It decides and neither waits nor asks. `most` bounds the attempts, over all candidates, and
    `taken` counts them.

    Args:
        prospects: the candidates, in the order in which they are asked.
        most: attempts upstream.
        patience: seconds of a Retry-After that are waited out on the same target.
        tokens: about how many the call will take, for the limits of targets.
        deadline: when the call ends.
        clock: tells the time.
        blocked_content: who is asked where a content policy refuses.
        rng: for jitter.
    """

    def __init__(
        self,
        prospects: Sequence[Prospect],
        *,
        most: int,
        patience: float,
        tokens: int,
        deadline: Deadline,
        clock: Clock,
        blocked_content: Callable[[], Prospect] | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.taken = 0
        self.most = most
        self.tokens = tokens
        self.deadline = deadline
        self._prospects = list(prospects)
        self._patience = patience
        self._clock = clock
        self._blocked_content = blocked_content
        self._rng = rng
        self._tried: dict[Prospect, _Tried] = {}
        self._too_small = 0  # tokens; the largest context that the request did not fit into

    def open(self) -> Turn | None:
        """The first candidate that nothing bars.

        Raises:
            GatewayError: DEADLINE_EXCEEDED, nobody who could be asked answers in the time left.
        """
        now = self._clock.time()
        left = self._left(now)
        is_too_late = False
        for prospect in self._prospects:
            if prospect.state.bar(now, self.tokens) is None:
                if (prospect.state.p50 or 0.0) < left:
                    return Turn(prospect)
                is_too_late = True
        if is_too_late or left <= 0:
            raise GatewayError(
                Reason.DEADLINE_EXCEEDED,
                "less time is left to the call's deadline than the target usually takes to its "
                "first content",
            )
        return None

    def patient(self) -> Turn:
        """Who is asked first where something bars every candidate: a patient call may wait.

        Raises:
            GatewayError: nobody; it tells why, and when to come again.
        """
        now = self._clock.time()
        bars = [(each, each.state.bar(now, self.tokens)) for each in self._prospects]
        waits = [
            (bar.until, index)
            for index, (_, bar) in enumerate(bars)
            if bar is not None and bar.why in {Shut.COOLING, Shut.FULL} and bar.until > now
        ]
        if waits:
            until, index = min(waits)
            if until - now <= min(self._patience, self._left(now)):
                return Turn(self._prospects[index], until - now)
        shut = [
            (bar.until, index)
            for index, (_, bar) in enumerate(bars)
            if bar is not None and bar.why is Shut.BREAKER
        ]
        if shut:
            return Turn(self._prospects[min(shut)[1]], last_resort=True)
        raise self.barred()

    def failed(self, prospect: Prospect, error: GatewayError) -> None:
        """Notes what an attempt came to, and from when on the same target may be asked again."""
        now, kind = self._clock.time(), class_of(error)
        tried = self._tried.setdefault(prospect, _Tried())
        tried.failures += 1
        tried.kind = kind
        if error.should_retry is False:
            tried.failures = self.most
        if kind is FailureClass.CONTEXT:
            window = prospect.capabilities.context_window or 0
            self._too_small = max(self._too_small, window)
        wait = error.retry_after
        if wait is not None:
            wait *= 1 + _SPREAD * self._rng()
        elif kind is FailureClass.BACKPRESSURE:
            wait = full_jitter(tried.failures - 1, BACKPRESSURE_BASE, self._rng)
            wait = max(wait, prospect.state.rest_until - now)
        else:
            wait = full_jitter(tried.failures - 1, FAULT_BASE, self._rng)
        tried.not_before = now + wait

    def after(
        self, failed: Prospect, error: GatewayError, eligible: Eligible, *, is_midway: bool
    ) -> Turn | None:
        """Who is asked after a failure; None: nobody.

        Args:
            failed: the target of the attempt.
            error: how it failed.
            eligible: who could go on with the call.
            is_midway: content was delivered, so that the same target would have to repeat it.
        """
        kind = class_of(error)
        if self.taken >= self.most or not RULES[kind].other:
            return None
        now = self._clock.time()
        other = self.other(failed, eligible)
        again = self._once_more(failed, eligible, now)
        if other is not None and self.taken + 1 >= self.most:
            # The last attempt is somebody else's, or a healthy target would never be asked.
            again = None
        if error.retry_after is not None:
            # A wait that is asked for, by a 429 or a 503, is waited out only by the patient.
            is_next = error.retry_after <= self._patience
        else:
            is_next = kind is not FailureClass.BACKPRESSURE
        if again is not None and is_next and not error.unsent and not is_midway:
            return again
        if other is not None:
            return Turn(other)
        if kind is FailureClass.CONTEXT:
            return None
        turns = [self._once_more(each, eligible, now) for each in self._prospects]
        return min((turn for turn in turns if turn is not None), key=lambda t: t.wait, default=None)

    def around_policy(self, eligible: Eligible) -> Turn | None:
        """The target that the route names for what a content policy refuses; nobody else then."""
        ask, self._blocked_content = self._blocked_content, None
        if ask is None or self.taken >= self.most:
            return None
        try:
            prospect = ask()
        except GatewayError:
            return None  # it cannot take the request; the refusal stands
        if prospect.place.target in {each.place.target for each in self._tried}:
            return None
        is_barred = prospect.state.bar(self._clock.time(), self.tokens) is not None
        if is_barred or not eligible(prospect):
            return None
        self._prospects = [prospect]
        return Turn(prospect)

    def other(self, than: Prospect, eligible: Eligible) -> Prospect | None:
        """The next candidate that was not asked yet and can be asked at once."""
        if self.taken >= self.most or (len(self._prospects) == 1 and self._prospects[0] is than):
            return None
        now = self._clock.time()
        left = self._left(now)
        for each in self._prospects:
            if each is than or each in self._tried or not eligible(each):
                continue
            if not self._may_fit(each):
                continue
            if each.state.bar(now, self.tokens) is None and (each.state.p50 or 0.0) < left:
                return each
        return None

    def barred(self) -> GatewayError:
        """Why nobody can be asked now."""
        now = self._clock.time()
        bars = [each.state.bar(now, self.tokens) for each in self._prospects]
        return unavailable([bar for bar in bars if bar is not None], now, self._rng())

    def _once_more(self, prospect: Prospect, eligible: Eligible, now: float) -> Turn | None:
        """A second attempt at a target that may have one, or a first one once it has cooled."""
        if not eligible(prospect) or not self._may_fit(prospect):
            return None
        tried = self._tried.get(prospect)
        bar = prospect.state.bar(now, self.tokens)
        if bar is not None and bar.why is not Shut.COOLING:
            return None
        until = bar.until if bar is not None else now
        if tried is not None:
            most = self.most if tried.kind is FailureClass.BACKPRESSURE else 2
            if not RULES[tried.kind].same or tried.failures >= most:
                return None
            until = max(until, tried.not_before)
        wait = until - now
        usual = prospect.state.p50 or 0.0
        if wait > _LONGEST_WAIT or wait + usual >= self._left(now):
            return None
        is_fault = tried is not None and tried.kind is FailureClass.FAULT
        return Turn(prospect, wait, fresh=is_fault)

    def _may_fit(self, prospect: Prospect) -> bool:
        window = prospect.capabilities.context_window
        return window is None or window > self._too_small

    def _left(self, now: float) -> float:
        return self.deadline.when - now
