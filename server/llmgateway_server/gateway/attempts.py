"""The attempts of one call: made one after the other, paid for, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.gateway.alarm import Deadline
from llmgateway_server.gateway.turns import Eligible, Turn, Turns, anybody
from llmgateway_server.gateway.verdict import verdict
from llmgateway_server.ports.clock import Clock
from llmgateway_server.resilience.failure import RULES, FailureClass, class_of
from llmgateway_server.routing.candidates import Prospect
from llmgateway_server.routing.target_state import Lease, TargetState

T = TypeVar("T")

Ask = Callable[[Turn, Lease], Awaitable[T]]


class WayClosedError(GatewayError):
    """One way to go on with an answer is closed; it says nothing against the target."""


class Attempts:
    """Makes the attempts of one call; see the design's page on resilience.

    `failures` are those that failed, in their order.
    """

    def __init__(self, turns: Turns, clock: Clock) -> None:
        self.failures: list[GatewayError] = []
        self._turns = turns
        self._clock = clock
        self._charges: list[tuple[TargetState, float]] = []
        self._turn: Turn | None = None

    @property
    def count(self) -> int:
        """Attempts so far, the one that is made now included."""
        return self._turns.taken

    @property
    def deadline(self) -> Deadline:
        """When the call ends."""
        return self._turns.deadline

    async def first(self, ask: Ask[T]) -> T:
        """Asks one candidate after the other until one has begun to answer.

        Raises:
            GatewayError: nobody did; it tells of the failure that the caller can act on.
        """
        self._turn = self._turns.open() or self._turns.patient()
        if self._turn.wait:
            await asyncio.sleep(self._turn.wait)
        try:
            # Most calls need one attempt; a retrying object for each would double their cost.
            return await self._attempt(ask, anybody)
        except GatewayError as error:
            if self._turn is None:
                raise verdict(self.failures, error) from None
        await asyncio.sleep(self._turn.wait)
        return await self._retried(ask, anybody)

    async def again(
        self, failed: Prospect, error: GatewayError, ask: Ask[T], eligible: Eligible
    ) -> T:
        """Goes on after an attempt that failed in the middle of its answer.

        Raises:
            GatewayError: nobody could go on.
        """
        self._turn = self._next(failed, error, eligible, is_midway=True)
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
        return self._turns.other(prospect, anybody) is not None

    def hedge(self, prospect: Prospect, may_ask: Eligible) -> tuple[Turn, Lease] | None:
        """A place at another candidate, to be asked beside this one."""
        other = self._turns.other(prospect, anybody)
        if other is None or not may_ask(other):
            return None
        turn = Turn(other)
        lease = self._leased(turn)
        if lease is None:
            return None
        self._turns.taken += 1
        return turn, lease

    def failed(self, prospect: Prospect, lease: Lease, error: GatewayError) -> None:
        """Notes a failed attempt, of whatever phase; once."""
        if not lease.is_open:
            return
        now = self._clock.time()
        if isinstance(error, WayClosedError):
            lease.release(now)
            return
        kind = class_of(error)
        lease.failed(kind, now, error.retry_after)
        if kind is FailureClass.INCAPABLE and not error.attempts:
            self._turns.taken -= 1  # nothing was sent
        self.failures.append(error)
        self._turns.failed(prospect, error)

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
            other = None if turn.last_resort else self._turns.other(turn.prospect, eligible)
            self._turn = Turn(other) if other is not None else None
            raise self._turns.barred()
        self._turns.taken += 1
        try:
            return await ask(turn, lease)
        except GatewayError as error:
            self.failed(turn.prospect, lease, error)
            self._turn = self._next(turn.prospect, error, eligible, is_midway=False)
            raise
        except BaseException:
            lease.release(self._clock.time())
            raise

    def _leased(self, turn: Turn) -> Lease | None:
        state, now = turn.prospect.state, self._clock.time()
        if turn.last_resort:
            return state.lease_last_resort(now, self._turns.tokens)
        return state.lease(now, self._turns.tokens)

    def _next(
        self, failed: Prospect, error: GatewayError, eligible: Eligible, *, is_midway: bool
    ) -> Turn | None:
        """Who is asked after a failure, if somebody's retry budget pays for it."""
        turns = self._turns
        if isinstance(error, WayClosedError):
            if turns.taken < turns.most and eligible(failed):
                return Turn(failed)
            other = turns.other(failed, eligible)
            return Turn(other) if other is not None else None
        if error.reason is Reason.CONTENT_BLOCKED:
            return turns.around_policy(eligible)
        turn = turns.after(failed, error, eligible, is_midway=is_midway)
        cost = RULES[class_of(error)].cost
        if turn is None or self._is_paid(failed, cost):
            return turn
        # What bounds an outage must not keep calls from a target that is well and can pay itself.
        other = turns.other(failed, eligible)
        return Turn(other) if other is not None and self._is_paid(other, cost) else None

    def _is_paid(self, prospect: Prospect, cost: float) -> bool:
        """Takes what the next attempt costs from a target's retry budget, if it has as much."""
        if not prospect.state.budget.take(cost):
            return False
        self._charges.append((prospect.state, cost))
        return True
