"""A route over several scripted targets, without I/O: what a call asks of whom, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmgateway_server.domain.answer import Answer, Finish, FinishReason, Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import StreamEvent, TextDelta
from llmgateway_server.domain.fold import Fold
from llmgateway_server.domain.request import CallOptions, GenerationRequest, RecoveryMode
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.routing.routes import RouteTable
from support.provider import ScriptedProvider, ScriptedStream, Step, gateway_of

ROUTE = "words"
ASK = GenerationRequest(ROUTE, (Message(Role.USER, (TextPart("hi"),)),))
# What a call is answered with: the steps of a stream, or a refusal of the request.
Script = Sequence[Step] | GatewayError


def answer(text: str = "hello", usage: Usage | None = None) -> list[Step]:
    """A whole answer, at once."""
    return [[TextDelta(0, text)], [usage or Usage(3, 5), Finish(FinishReason.STOP, "stop")]]


def failure(reason: Reason, **fields: Any) -> GatewayError:
    """A failed attempt; the one that it is written into names the provider."""
    return GatewayError(reason, f"no: {reason.value}", attempt=AttemptFailure("", "m"), **fields)


class ScriptedTarget(ScriptedProvider):
    """A provider of one model `m` that plays one script a call; the last one for ever.

    `asked` has when each call came, `streams` all that it gave; `log` has the calls of all targets
    of a gateway in their order.
    """

    def __init__(
        self,
        *scripts: Script | Callable[[GenerationRequest], Script],
        capabilities: Capabilities | None = None,
        opening: float = 0.0,
    ) -> None:
        super().__init__()
        self.name = ""
        self.asked: list[float] = []
        self.log: list[tuple[str, float]] = []
        self.streams: list[ScriptedStream] = []
        self.known = capabilities or Capabilities()
        self._scripts = scripts
        self._takes = opening

    async def open(
        self, request: GenerationRequest, model: str, timers: Timers, *, fresh: bool = False
    ) -> ScriptedStream:
        del timers
        script = self._scripts[min(len(self.asked), len(self._scripts) - 1)]
        self.opened.append((request, model))
        self.fresh.append(fresh)
        self.asked.append(asyncio.get_running_loop().time())
        self.log.append((self.name, self.asked[-1]))
        await asyncio.sleep(self._takes)
        if callable(script):
            script = script(request)
        if isinstance(script, GatewayError):
            raise self._own(script)
        steps = [self._own(step) if isinstance(step, GatewayError) else step for step in script]
        stream = ScriptedStream(steps)
        self.streams.append(stream)
        return stream

    def capabilities(self, model: str) -> Capabilities:
        del model
        return self.known

    def _own(self, error: GatewayError) -> GatewayError:
        """A new one for each attempt, since whoever handles an error may change it."""
        own = GatewayError(error.reason, error.message)
        vars(own).update(vars(error))
        own.attempts = (AttemptFailure(self.name, "m"),) if error.attempts else ()
        return own


def gateway_with(
    targets: Mapping[str, ScriptedTarget],
    *,
    prices: PriceBook | None = None,
    providers: Mapping[str, Any] | None = None,
    outside: Sequence[str] = (),
    **route: Any,
) -> Gateway:
    """A gateway with one route over the targets, in their order.

    Args:
        targets: By their providers' names.
        prices: None: nobody knows any.
        providers: More fields of all ProviderEntries.
        outside: Which of the targets the route does not name.
        route: More fields of the RouteEntry.
    """
    places = tuple(RouteTarget(Target(name, "m")) for name in targets if name not in outside)
    log: list[tuple[str, float]] = []
    for name, target in targets.items():
        target.name, target.log = name, log
    entries = [
        ProviderEntry(name, "scripted", True, Timers(), **(providers or {})) for name in targets
    ]
    table = RouteTable([RouteEntry(ROUTE, places, **route)], entries, [])
    return gateway_of(table, targets, prices=prices)


class Outcome:
    """What the reader of a call saw, and when."""

    def __init__(self) -> None:
        self.events: list[StreamEvent] = []
        self.error: GatewayError | None = None
        self.took = 0.0

    @property
    def reason(self) -> Reason | None:
        """Why it failed; None for an answer."""
        return self.error.reason if self.error is not None else None

    @property
    def answer(self) -> Answer:
        """The fold of the events."""
        assert self.error is None, self.error
        fold = Fold()
        for event in self.events:
            fold.add(event)
        return fold.answer()

    @property
    def text(self) -> str:
        """The answer's text."""
        return "".join(part.text for part in self.answer.parts if isinstance(part, TextPart))


async def call(
    gateway: Gateway,
    request: GenerationRequest = ASK,
    *,
    within: float = 600.0,
    recovery: RecoveryMode | None = None,
    previous_attempts: int = 0,
    tenant: str = "",
    into: Outcome | None = None,
) -> Outcome:
    """Reads one call to its end, and closes it.

    Args:
        gateway: Whose route is called.
        request: What is asked.
        within: Seconds to the deadline.
        recovery: As in CallOptions, like the others.
        previous_attempts: See there.
        tenant: See there.
        into: What is filled while the call goes on, and returned in the end.
    """
    loop = asyncio.get_running_loop()
    came = loop.time()
    outcome = into or Outcome()
    try:
        options = CallOptions(came + within, recovery, previous_attempts, tenant)
        generation = await gateway.generate(request, options)
        try:
            while not (outcome.events and isinstance(outcome.events[-1], Finish)):
                outcome.events += await generation.read()
        finally:
            generation.close()
    except GatewayError as error:
        outcome.error = error
    outcome.took = loop.time() - came
    return outcome


async def assert_idle(gateway: Gateway, targets: Mapping[str, ScriptedTarget]) -> None:
    """Nothing may be left of any call: no place, no stream, no task."""
    for _ in range(4):
        await asyncio.sleep(0)
    left = {name: gateway.targets.state(Target(name, "m")).in_flight for name in targets}
    assert not any(left.values()), left
    assert gateway.gate.in_flight == 0
    assert all(stream.closed for target in targets.values() for stream in target.streams)
    assert asyncio.all_tasks() == {asyncio.current_task()}
