"""Providers, a route and callers drawn by chance: all that may go wrong, at the same time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import (
    Recovery,
    RecoveryKind,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.policies import (
    AdmissionLimits,
    BreakerSettings,
    CachePolicy,
    HedgePolicy,
    RetryPolicy,
    TargetLimits,
)
from llmgateway_server.domain.request import (
    CacheMode,
    CallOptions,
    GenerationRequest,
    Priority,
    RecoveryMode,
    Routing,
    Sampling,
)
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.routing.routes import RouteTable
from support.money import PRICES, FixedPrices
from support.planned import ROUTE, Plan, PlannedProvider, answer, cut_after
from support.provider import Batch, Step, gateway_of

TOKENS = (
    [f"token{number} " for number in range(8)],
    [f"word{number} " for number in range(6)],
)
WHOLE = {"".join(tokens) for tokens in TOKENS}
MODELS = ("m", "k")
STRATEGIES = ("priority", "round_robin", "weighted", "least_latency", "cost")
REASONS = [
    *(reason for reason in Reason if reason.name.startswith("PROVIDER_")),
    Reason.CONTEXT_LENGTH_EXCEEDED,
    Reason.CONTENT_BLOCKED,
    Reason.MODEL_NOT_FOUND,
]


def error(dice: random.Random, provider: str) -> GatewayError:
    """Any failure of a provider."""
    return GatewayError(
        dice.choice(REASONS),
        "no",
        retry_after=dice.choice([None, None, 0.5, 2.0, 30.0, 500.0]),
        should_retry=dice.choice([None, None, True, False]),
        unsent=dice.random() < 0.1,
        attempt=AttemptFailure(provider, "m", 500),
    )


def plan(dice: random.Random, provider: str) -> Plan:
    """A provider that answers, or fails in any way at any place."""
    failing = dice.choice([0.0, 0.3, 0.7, 1.0])

    def steps(number: int, now: float) -> Sequence[Step]:
        del number, now
        first, each = dice.choice([0.0, 0.1, 1.0, 5.0]), dice.choice([0.0, 0.1])
        whole = answer(dice.choice(TOKENS), first=first, each=each)
        if dice.random() >= failing:
            return whole
        tool: Batch = [ToolCallDelta(0, "1", "look_up", "{")]
        ways: list[Sequence[Step]] = [
            [dice.choice([0.0, 0.1]), error(dice, provider)],
            [500.0, *whole],
            [0.1, [], 0.1, error(dice, provider)],
            [*whole[: 1 + 2 * dice.randint(1, 4)], 500.0, *whole],
            [0.1, tool, 0.1, error(dice, provider)],
            cut_after(whole, dice.randint(1, 5), error(dice, provider)),
        ]
        return dice.choice(ways)

    return steps


def providers(dice: random.Random) -> dict[str, PlannedProvider]:
    """One to three of a route, and `x` for blocked content."""
    names = [*"abc"[: dice.randint(1, 3)], "x"]
    # A prefill is not understood by them, so nobody may be asked for one.
    return {
        name: PlannedProvider(
            plan(dice, name),
            Capabilities(prefill=False, context_window=dice.choice([None, 1000, 8000])),
        )
        for name in names
    }


def gateway_before(dice: random.Random, behind: dict[str, PlannedProvider]) -> Gateway:
    """A gateway of any configuration."""
    timers = Timers(first_content=dice.choice([None, None, 3.0]))
    entries = [
        ProviderEntry(
            name,
            "scripted",
            passes_any_model=True,
            timers=timers,
            limits=TargetLimits(dice.choice([None, 1, 2]), dice.choice([None, 5])),
            breaker=BreakerSettings(consecutive=dice.choice([2, 5])),
        )
        for name in behind
    ]
    places = [RouteTarget(Target(name, dice.choice(MODELS)), timers) for name in behind]
    route = RouteEntry(
        ROUTE,
        tuple(places[:-1]),
        strategy=dice.choice(STRATEGIES),
        retry=RetryPolicy(dice.choice([1, 2, 3]), dice.choice([None, 0.0, 5.0])),
        hedge=dice.choice([None, HedgePolicy(after=0.2, budget=1.0)]),
        cache=dice.choice([None, CachePolicy(60.0)]),
        blocked_content=dice.choice([None, places[-1]]),
    )
    return gateway_of(
        RouteTable([route], entries, []),
        behind,
        prices=FixedPrices(PRICES),
        admission=AdmissionLimits(in_flight=dice.choice([3, 100])),
    )


class Caller:
    """One call of any kind, which checks what it is given by the laws of the stream."""

    def __init__(self, dice: random.Random, gateway: Gateway) -> None:
        self.text = ""
        self.has_tool = False
        self.is_whole = False
        self._gateway = gateway
        self._has_started = False
        self._leaves_after = dice.choice([1, 3, 1000, 1000, 1000])
        self._within = dice.choice([0.5, 3.0, 30.0, 600.0])
        self._recovery = dice.choice([None, *RecoveryMode])
        self._previous = dice.choice([0, 0, 1])
        self._request = GenerationRequest(
            ROUTE,
            (Message(Role.USER, (TextPart(dice.choice("hij")),)),),
            sampling=Sampling(temperature=dice.choice([None, 0.0])),
            routing=Routing(
                disable_fallback=dice.random() < 0.1,
                max_attempts=dice.choice([None, 1, 2]),
                provider_order=dice.choice([(), ("b",)]),
                cache_mode=dice.choice([CacheMode.DEFAULT, CacheMode.BYPASS]),
                priority=dice.choice(list(Priority)),
            ),
        )

    async def run(self) -> None:
        """Reads the answer to its end, or leaves it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        options = CallOptions(began + self._within, self._recovery, self._previous)
        try:
            await self._read(options)
        except GatewayError as error:
            self._check(error)
        # The reader of a shared call lets its source speak first.
        assert loop.time() - began <= self._within + 0.06

    async def _read(self, options: CallOptions) -> None:
        answering = await self._gateway.generate(self._request, options)
        try:
            for _ in range(self._leaves_after):
                events = await answering.read()
                assert events
                for event in events:
                    self._take(event)
                if self.is_whole:
                    assert answering.route.attempt_count <= 3
                    return
        finally:
            answering.close()

    def _take(self, event: StreamEvent) -> None:
        assert not self.is_whole
        assert self._has_started is not isinstance(event, StreamStart)
        match event:
            case StreamStart():
                self._has_started = True
            case Recovery(kind=RecoveryKind.RESTARTED):
                assert self._recovery is RecoveryMode.RESTART
                self.text, self.has_tool = "", False
            case Recovery():
                assert self._recovery is not RecoveryMode.NONE
            case TextDelta():
                self.text += event.text
            case ToolCallDelta():
                self.has_tool = True
            case Finish():
                self.is_whole = True
            case _:
                pass

    def _check(self, error: GatewayError) -> None:
        assert error.reason is not Reason.INTERNAL
        assert len(error.attempts) <= 3
        assert error.partial_output_sent is bool(self.text or self.has_tool)
        assert not self.is_whole
