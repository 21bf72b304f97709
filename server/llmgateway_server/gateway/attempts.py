"""The attempts of one call: who is asked, when again, and what is told when nobody is left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from msgspec import Struct
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.gateway.alarm import Deadline
from llmgateway_server.gateway.verdict import unavailable, verdict
from llmgateway_server.ports.clock import Clock
from llmgateway_server.resilience.backoff import BACKPRESSURE_BASE, FAULT_BASE, full_jitter
from llmgateway_server.resilience.failure import RULES, FailureClass, class_of
from llmgateway_server.routing.candidates import Prospect
from llmgateway_server.routing.target_state import Bar, Lease, Shut, TargetState

# A provider that asks for a longer wait is left alone; seconds. The vendors' own SDKs wait 60.
_LONGEST_WAIT: Final = 120.0
# So that calls that wait for the same moment do not come in the same moment.
_SPREAD: Final = 0.1

T = TypeVar("T")


class Turn(Struct, frozen=True, eq=False):
    """Who is asked next, after a wait in seconds; `fresh`: on a connection nobody has used."""

    prospect: Prospect
    wait: float = 0.0
    fresh: bool = False
    last_resort: bool = False


class WayClosedError(GatewayError):
    """One way to go on with an answer is closed; it says nothing against the target."""


Ask = Callable[[Turn, Lease], Awaitable[T]]
Eligible = Callable[[Prospect], bool]


def _anybody(_: Prospect) -> bool:
    return True


class _Tried:
    """What came of a target in this call."""

    def __init__(self) -> None:
        self.failures = 0
        self.kind = FailureClass.NOBODYS
        self.not_before = 0.0


class Attempts:
    """The attempts of one call over its candidates; see the design's page on resilience.

    Args:
        prospects: the candidates, in the order in which they are asked.
        most: attempts upstream, over all candidates.
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
        self.count = 0
        self.failures: list[GatewayError] = []
        self.deadline = deadline
        self._prospects = list(prospects)
        self._most = most
        self._patience = patience
        self._tokens = tokens
        self._clock = clock
        self._blocked_content = blocked_content
        self._rng = rng
        self._tried: dict[Prospect, _Tried] = {}
        self._too_small = 0  # tokens; the largest context that the request did not fit into
        self._charges: list[tuple[TargetState, float]] = []
        self._turn: Turn | None = None

    async def first(self, ask: Ask[T]) -> T:
        """Asks one candidate after the other until one has begun to answer.

        Raises:
            GatewayError: nobody did; it tells of the failure that the caller can act on.
        """
        self._turn = self._open_turn() or await self._patient_turn()
        try:
            # Most calls need one attempt; a retrying object for each would double their cost.
            return await self._attempt(ask, _anybody)
        except GatewayError as error:
            if self._turn is None:
                raise verdict(self.failures, error) from None
        await asyncio.sleep(self._turn.wait)
        return await self._retried(ask, _anybody)

    async def again(
        self, failed: Prospect, error: GatewayError, ask: Ask[T], eligible: Eligible
    ) -> T:
        """Goes on after an attempt that failed in the middle of its answer.

        Raises:
            GatewayError: nobody could go on.
        """
        self._turn = self._after(failed, error, eligible, is_midway=True)
        if self._turn is None:
            raise error
        await asyncio.sleep(self._turn.wait)
        return await self._retried(ask, eligible)

    def succeeded(self) -> None:
        """The answer is whole: what its retries cost the targets is given back."""
        for state, cost in self._charges:
            state.budget.give(cost)
        self._charges.clear()

    def has_reserve(self, prospect: Prospect) -> bool:
        """Whether somebody else could be asked after this one."""
        return self.count < self._most and self._other(prospect, _anybody) is not None

    def hedge(self, prospect: Prospect, may_ask: Eligible) -> tuple[Turn, Lease] | None:
        """A place at another candidate, to be asked beside this one."""
        other = self._other(prospect, _anybody) if self.count < self._most else None
        if other is None or not may_ask(other):
            return None
        turn = Turn(other)
        lease = self._leased(turn)
        if lease is None:
            return None
        self.count += 1
        return turn, lease

    def failed(self, prospect: Prospect, lease: Lease, error: GatewayError) -> None:
        """Notes a failed attempt, of whatever phase; once."""
        if not lease.is_open:
            return
        now = self._clock.time()
        kind = class_of(error)
        if isinstance(error, WayClosedError):
            lease.release(now)
            return
        lease.failed(kind, now, error.retry_after)
        if kind is FailureClass.INCAPABLE and not error.attempts:
            self.count -= 1  # nothing was sent
        self.failures.append(error)
        tried = self._tried.setdefault(prospect, _Tried())
        tried.failures += 1
        tried.kind = kind
        if error.should_retry is False:
            tried.failures = self._most
        wait = error.retry_after
        if wait is None:
            base = BACKPRESSURE_BASE if kind is FailureClass.BACKPRESSURE else FAULT_BASE
            wait = full_jitter(tried.failures - 1, base, self._rng)
            if kind is FailureClass.BACKPRESSURE:
                wait = max(wait, prospect.state.rest_until - now)
        else:
            wait *= 1 + _SPREAD * self._rng()
        tried.not_before = now + wait

    async def _retried(self, ask: Ask[T], eligible: Eligible) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(GatewayError),
            stop=self._has_no_turn,
            wait=self._wait_of_turn,
            sleep=asyncio.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._attempt, ask, eligible)
        except GatewayError as error:
            raise verdict(self.failures, error) from None

    def _has_no_turn(self, _: RetryCallState) -> bool:
        return self._turn is None

    def _wait_of_turn(self, _: RetryCallState) -> float:
        return self._turn.wait if self._turn is not None else 0.0

    async def _attempt(self, ask: Ask[T], eligible: Eligible) -> T:
        turn, self._turn = self._turn, None
        if turn is None:
            raise AssertionError("an attempt without a turn")
        lease = self._leased(turn)
        if lease is None:
            # Somebody else took the place while this call waited for it.
            self._turn = self._elsewhere(turn, eligible)
            raise self._barred()
        self.count += 1
        try:
            return await ask(turn, lease)
        except GatewayError as error:
            self.failed(turn.prospect, lease, error)
            self._turn = self._after(turn.prospect, error, eligible)
            raise
        except BaseException:
            lease.release(self._clock.time())
            raise

    def _leased(self, turn: Turn) -> Lease | None:
        state, now = turn.prospect.state, self._clock.time()
        if turn.last_resort:
            return state.lease_last_resort(now, self._tokens)
        return state.lease(now, self._tokens)

    async def _patient_turn(self) -> Turn:
        """Who is asked first where something bars every candidate: a patient call may wait."""
        now = self._clock.time()
        bars = [(each, each.state.bar(now, self._tokens)) for each in self._prospects]
        waits = [
            (bar.until, index)
            for index, (_, bar) in enumerate(bars)
            if bar is not None and bar.why in {Shut.COOLING, Shut.FULL} and bar.until > now
        ]
        if waits:
            until, index = min(waits)
            if until - now <= min(self._patience, self._left(now)):
                await asyncio.sleep(until - now)
                return Turn(self._prospects[index])
        shut = [
            (bar.until, index)
            for index, (_, bar) in enumerate(bars)
            if bar is not None and bar.why is Shut.BREAKER
        ]
        if shut:
            return Turn(self._prospects[min(shut)[1]], last_resort=True)
        raise self._barred()

    def _open_turn(self) -> Turn | None:
        """The first candidate that nothing bars."""
        now = self._clock.time()
        left = self._left(now)
        is_too_late = False
        for prospect in self._prospects:
            if prospect.state.bar(now, self._tokens) is None:
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

    def _after(
        self, failed: Prospect, error: GatewayError, eligible: Eligible, *, is_midway: bool = False
    ) -> Turn | None:
        """Who is asked after a failure, the failed target's budget allowing it; None: nobody."""
        kind = class_of(error)
        if isinstance(error, WayClosedError):
            return self._after_closed_way(failed, eligible)
        if error.reason is Reason.CONTENT_BLOCKED and self._blocked_content is not None:
            return self._around_policy(eligible)
        rules = RULES[kind]
        if self.count >= self._most or not rules.other:
            return None
        turn = self._chosen(failed, error, kind, eligible, is_midway=is_midway)
        if turn is None or self._is_paid(failed, rules.cost):
            return turn
        # What bounds an outage must not keep calls from a target that is well and can pay itself.
        other = self._other(failed, eligible)
        return Turn(other) if other is not None and self._is_paid(other, rules.cost) else None

    def _is_paid(self, prospect: Prospect, cost: float) -> bool:
        """Takes what the next attempt costs from a target's retry budget, if it has as much."""
        if not prospect.state.budget.take(cost):
            return False
        self._charges.append((prospect.state, cost))
        return True

    def _after_closed_way(self, failed: Prospect, eligible: Eligible) -> Turn | None:
        if self.count >= self._most:
            return None
        if eligible(failed):
            return Turn(failed)
        other = self._other(failed, eligible)
        return Turn(other) if other is not None else None

    def _around_policy(self, eligible: Eligible) -> Turn | None:
        ask, self._blocked_content = self._blocked_content, None
        if ask is None or self.count >= self._most:
            return None
        try:
            prospect = ask()
        except GatewayError:
            return None  # it cannot take the request; the refusal stands
        if prospect.place.target in {each.place.target for each in self._tried}:
            return None
        is_barred = prospect.state.bar(self._clock.time(), self._tokens) is not None
        if is_barred or not eligible(prospect):
            return None
        # What a policy refused is asked of the target named for it, and of nobody else.
        self._prospects = [prospect]
        return Turn(prospect)

    def _chosen(
        self,
        failed: Prospect,
        error: GatewayError,
        kind: FailureClass,
        eligible: Eligible,
        *,
        is_midway: bool,
    ) -> Turn | None:
        now = self._clock.time()
        if kind is FailureClass.CONTEXT:
            self._too_small = max(self._too_small, failed.capabilities.context_window or 0)
        other = self._other(failed, eligible)
        again = self._once_more(failed, eligible, now)
        if other is not None and self.count + 1 >= self._most:
            # The last attempt is somebody else's, or a healthy target would never be asked.
            again = None
        asked = error.retry_after
        if asked is not None:
            # A wait that is asked for, by a 429 or a 503, is waited out only by the patient.
            is_next = asked <= self._patience
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

    def _once_more(self, prospect: Prospect, eligible: Eligible, now: float) -> Turn | None:
        """A second attempt at a target that may have one, or a first one once it has cooled."""
        if not eligible(prospect) or not self._may_fit(prospect):
            return None
        tried = self._tried.get(prospect)
        bar = prospect.state.bar(now, self._tokens)
        if bar is not None and bar.why is not Shut.COOLING:
            return None
        until = bar.until if bar is not None else now
        if tried is not None:
            most = self._most if tried.kind is FailureClass.BACKPRESSURE else 2
            if not RULES[tried.kind].same or tried.failures >= most:
                return None
            until = max(until, tried.not_before)
        wait = until - now
        usual = prospect.state.p50 or 0.0
        if wait > _LONGEST_WAIT or wait + usual >= self._left(now):
            return None
        is_fault = tried is not None and tried.kind is FailureClass.FAULT
        return Turn(prospect, wait, fresh=is_fault)

    def _other(self, failed: Prospect, eligible: Eligible) -> Prospect | None:
        """The next candidate that was not asked yet and can be asked at once."""
        now = self._clock.time()
        left = self._left(now)
        for each in self._prospects:
            if each is failed or each in self._tried or not eligible(each):
                continue
            if not self._may_fit(each):
                continue
            if each.state.bar(now, self._tokens) is None and (each.state.p50 or 0.0) < left:
                return each
        return None

    def _may_fit(self, prospect: Prospect) -> bool:
        window = prospect.capabilities.context_window
        return window is None or window > self._too_small

    def _elsewhere(self, turn: Turn, eligible: Eligible) -> Turn | None:
        if turn.last_resort:
            return None
        other = self._other(turn.prospect, eligible)
        return Turn(other) if other is not None else None

    def _barred(self) -> GatewayError:
        now = self._clock.time()
        bars: list[Bar] = []
        for each in self._prospects:
            bar = each.state.bar(now, self._tokens)
            if bar is not None:
                bars.append(bar)
        return unavailable(bars, now, self._rng())

    def _left(self, now: float) -> float:
        return self.deadline.when - now
