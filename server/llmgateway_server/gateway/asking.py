"""How the targets of one generation are asked: with which timers, hedged or not, at whose cost."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from llmgateway_server.admission.gate import Gate
from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.policies import HedgePolicy
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.alarm import Alarm
from llmgateway_server.gateway.attempt import Attempt
from llmgateway_server.gateway.attempts import Attempts
from llmgateway_server.gateway.hedging import hedged
from llmgateway_server.gateway.turns import Turn
from llmgateway_server.ports.clock import Clock
from llmgateway_server.ports.strategy import Work
from llmgateway_server.resilience.failure import FailureClass, class_of
from llmgateway_server.resilience.hedge_budget import HedgeBudget
from llmgateway_server.routing.candidates import Prospect
from llmgateway_server.routing.target_state import Lease

# An attempt that could take all the time that is left leaves this share to the one after it.
_SHARE = 0.5

Begun = tuple[Attempt, Sequence[ProviderEvent]]


class Asking:
    """Asks targets for one call, and adds up what that cost."""

    def __init__(
        self,
        attempts: Attempts,
        accounts: Accounts,
        gate: Gate,
        clock: Clock,
        work: Work,
        *,
        hedge: HedgePolicy | None = None,
        hedges: HedgeBudget | None = None,
    ) -> None:
        self.attempts = attempts
        self.alarm = Alarm(attempts.deadline)
        self._accounts = accounts
        self._gate = gate
        self._clock = clock
        self._work = work
        self._hedge = hedge
        self._hedges = hedges
        self.burnt: Usage | None = None
        """What came to nothing so far."""

    def ask(self, turn: Turn, lease: Lease) -> Awaitable[Begun]:
        """Makes one attempt, and a second beside it where the route hedges."""
        if self._hedges is not None and self.attempts.count == 1:
            return self._hedged(turn, lease, self._hedges)
        return self.started(self.attempt(turn, lease, turn.prospect.fitted.request))

    def attempt(self, turn: Turn, lease: Lease, request: GenerationRequest) -> Attempt:
        """An attempt that has not begun."""
        return Attempt(
            turn,
            lease,
            request,
            accounts=self._accounts,
            clock=self._clock,
            deadline=self.attempts.deadline,
        )

    async def started(self, attempt: Attempt, alarm: Alarm | None = None) -> Begun:
        """An attempt with its first content; one that fails is cut off and paid for.

        Args:
            attempt: One that has not begun.
            alarm: That of the task, where it is not the call's own.

        Raises:
            GatewayError: it failed. Whoever counts attempts settles its place.
        """
        prospect = attempt.prospect
        usual = prospect.state.p95
        try:
            events = await attempt.begin(
                alarm or self.alarm,
                within=self._within(prospect, usual),
                slow_after=prospect.place.timers.first_content_within(in_reserve=True, usual=usual),
            )
        except BaseException as error:
            self.burn(attempt)
            if isinstance(error, GatewayError):
                attempt.cut()
            else:
                attempt.close()
            raise
        self._gate.first_token(attempt.time_to_first_token, prospect.state.p50)
        return attempt, events

    def burn(self, attempt: Attempt) -> None:
        """Adds what an attempt used that came to nothing."""
        usage = attempt.wasted()
        if usage is not None:
            self.burnt = usage if self.burnt is None else self.burnt.plus(usage)

    def total(self, usage: Usage) -> Usage:
        """What an answer used, and all the attempts before it."""
        return usage if self.burnt is None else self.burnt.plus(usage)

    def _within(self, prospect: Prospect, usual: float | None) -> float:
        """How long an attempt may take to its first content."""
        timers = prospect.place.timers
        in_reserve = self.attempts.has_reserve(prospect)
        within = timers.first_content_within(in_reserve=in_reserve, usual=usual)
        left = self.attempts.deadline.when - self._clock.time()
        if not in_reserve or (timers.first_content is not None and within < left):
            return within
        return min(within, max(left * _SHARE, usual or 0.0))

    def told(self, error: GatewayError) -> None:
        """Takes the error that a call ends with."""
        if class_of(error) is FailureClass.BACKPRESSURE:
            self._gate.pushed_back()

    async def _hedged(self, turn: Turn, lease: Lease, hedges: HedgeBudget) -> Begun:
        hedges.called()
        racing: list[Attempt] = []
        winner, events = await hedged(
            lambda: self._in_own_task(turn, lease, racing),
            self._hedge_after(turn),
            lambda: self._second(turn.prospect, hedges, racing),
            lambda begun: self._lost(begun[0]),
        )
        for attempt in racing:
            # Now, since the answer may be whole already, and tells what the loser has cost.
            if attempt is not winner:
                self._lost(attempt)
        return winner, events

    def _hedge_after(self, turn: Turn) -> float | None:
        """After how long a second candidate is asked; None: not before the first has ended."""
        if self._hedge is not None and self._hedge.after is not None:
            return self._hedge.after
        return turn.prospect.state.p95

    def _second(
        self, first: Prospect, hedges: HedgeBudget, racing: list[Attempt]
    ) -> Awaitable[Begun] | None:
        place = self.attempts.hedge(first, lambda other: self._may_ask(other, hedges))
        return self._in_own_task(*place, racing) if place is not None else None

    async def _in_own_task(self, turn: Turn, lease: Lease, racing: list[Attempt]) -> Begun:
        alarm = Alarm(self.attempts.deadline)
        attempt = self.attempt(turn, lease, turn.prospect.fitted.request)
        racing.append(attempt)
        try:
            return await self.started(attempt, alarm)
        except GatewayError as error:
            # The other one may win, and then nobody else would note it.
            self.attempts.failed(turn.prospect, lease, error)
            raise
        finally:
            alarm.close()

    def _may_ask(self, prospect: Prospect, hedges: HedgeBudget) -> bool:
        """Whether a hedge is worth its price and within the route's budget."""
        prices = prospect.state.prices
        usage = Usage(self._work.input_tokens, self._work.output_tokens)
        cost = prices.cost(usage) if prices is not None else None
        most = self._hedge.max_cost_nano_usd if self._hedge is not None else 0
        return cost is not None and cost <= most and hedges.take()

    def _lost(self, attempt: Attempt) -> None:
        self.burn(attempt)
        attempt.close()
