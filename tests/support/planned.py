"""Providers that behave by plan, and traffic against them; for tests in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import Recovery, RecoveryKind, TextDelta
from llmgateway_server.domain.policies import BreakerSettings
from llmgateway_server.domain.request import (
    CallOptions,
    GenerationRequest,
    RecoveryMode,
    Sampling,
)
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.routing.routes import RouteTable
from support.provider import ScriptedProvider, ScriptedStream, Step, gateway_of

ROUTE = "words"
# By the number of the call, from 0, and the time of the loop: what happens to it.
Plan = Callable[[int, float], Sequence[Step]]


class PlannedProvider(ScriptedProvider):
    """Plays what its plan says of each call; pauses and errors before content are its opening's.

    `times` holds when it was asked.
    """

    def __init__(self, plan: Plan, capabilities: Capabilities | None = None) -> None:
        super().__init__()
        self.times: list[float] = []
        self.streams: list[ScriptedStream] = []
        self.plan = plan
        self._capabilities = capabilities or Capabilities(prefill=False)

    async def open(
        self, request: GenerationRequest, model: str, timers: Timers, *, fresh: bool = False
    ) -> ScriptedStream:
        del timers
        now = asyncio.get_running_loop().time()
        steps = list(self.plan(len(self.times), now))
        self.times.append(now)
        self.opened.append((request, model))
        self.fresh.append(fresh)
        while isinstance(step := steps[0], float | GatewayError):
            if isinstance(step, GatewayError):
                raise step
            await asyncio.sleep(step)
            del steps[0]
        stream = ScriptedStream(steps)
        self.streams.append(stream)
        return stream

    def capabilities(self, model: str) -> Capabilities:
        del model
        return self._capabilities


def answer(tokens: Sequence[str], *, first: float = 0.1, each: float = 0.01) -> list[Step]:
    """These tokens, the first of them after `first` seconds."""
    steps: list[Step] = [first]
    for token in tokens:
        steps += [[TextDelta(0, token)], each]
    return [*steps, [Usage(10, len(tokens)), Finish(FinishReason.STOP, "stop")]]


def cut_after(steps: Sequence[Step], tokens: int, error: GatewayError) -> list[Step]:
    """The same answer, broken off after that many tokens."""
    return [*steps[: 1 + 2 * tokens], error]


def fault(provider: str, status: int = 500) -> GatewayError:
    """A provider's failure; a reset connection has no status."""
    attempt = AttemptFailure(provider, "m", status)
    return GatewayError(Reason.PROVIDER_ERROR, "it broke", attempt=attempt)


def gateway_between(
    providers: Mapping[str, PlannedProvider],
    *,
    route: RouteEntry | None = None,
    breaker: BreakerSettings | None = None,
    timers: Timers | None = None,
) -> Gateway:
    """A gateway whose route leads to a model `m` of each provider, in their order."""
    timers = timers or Timers()
    places = tuple(RouteTarget(Target(name, "m"), timers) for name in providers)
    entries = [
        ProviderEntry(
            name,
            "scripted",
            passes_any_model=True,
            timers=timers,
            breaker=breaker or BreakerSettings(),
        )
        for name in providers
    ]
    return gateway_of(RouteTable([route or RouteEntry(ROUTE, places)], entries, []), providers)


class Outcome:
    """What one call came to, for its reader."""

    def __init__(self) -> None:
        self.text = ""
        self.error: GatewayError | None = None
        self.is_whole = False
        self.provider = ""
        self.attempts = 0
        self.began = 0.0
        self.first_after = 0.0
        self.took = 0.0


async def call(
    gateway: Gateway,
    *,
    route: str = ROUTE,
    recovery: RecoveryMode | None = None,
    sampling: Sampling | None = None,
    within: float = 60.0,
) -> Outcome:
    """Makes one call and reads it to its end, as a reader that folds does."""
    loop = asyncio.get_running_loop()
    outcome = Outcome()
    outcome.began = loop.time()
    request = GenerationRequest(
        route, (Message(Role.USER, (TextPart("hi"),)),), sampling=sampling or Sampling()
    )
    try:
        answering = await gateway.generate(request, CallOptions(loop.time() + within, recovery))
    except GatewayError as error:
        outcome.error = error
        outcome.took = loop.time() - outcome.began
        return outcome
    try:
        while not outcome.is_whole:
            for event in await answering.read():
                if isinstance(event, Recovery) and event.kind is RecoveryKind.RESTARTED:
                    outcome.text = ""
                elif isinstance(event, TextDelta):
                    outcome.first_after = outcome.first_after or loop.time() - outcome.began
                    outcome.text += event.text
                elif isinstance(event, Finish):
                    outcome.is_whole = True
    except GatewayError as error:
        outcome.error = error
    finally:
        outcome.provider = answering.route.provider
        outcome.attempts = answering.route.attempt_count
        answering.close()
        outcome.took = loop.time() - outcome.began
    return outcome


async def traffic(
    gateway: Gateway,
    calls: int,
    *,
    rate: float = 20.0,
    recovery: RecoveryMode | None = None,
    sampling: Sampling | None = None,
) -> list[Outcome]:
    """That many calls, so many a second, each of them read at the same time as the others."""
    tasks: list[asyncio.Task[Outcome]] = []
    for _ in range(calls):
        tasks.append(asyncio.create_task(call(gateway, recovery=recovery, sampling=sampling)))
        await asyncio.sleep(1 / rate)
    return list(await asyncio.gather(*tasks))
