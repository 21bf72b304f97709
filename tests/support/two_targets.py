"""A gateway before two scripted upstreams, `a/one` and `b/two`, on one route: `words`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1 import usage_pb2
from llmgateway_server.domain.catalog import Target
from llmgateway_server.gateway.accounts import Totals
from support.gateway import Failed, Running, compatible, failure_of, gateway_from, question, until
from support.recorder import Recorder
from support.upstream import Script, Upstream

ROUTE = "words"
TARGETS = {"a": Target("a", "one"), "b": Target("b", "two")}
Tree = Mapping[str, Any]


class Answered:
    """A call that ended well, streamed or not, as its reader has it in the end."""

    def __init__(self, trailers: Mapping[str, str]) -> None:
        self.trailers = trailers
        self.text = ""
        self.passed_on = ""
        """All text as it came, without dropping what a restart makes void."""
        self.arguments = ""
        self.recoveries: list[pb.Recovery] = []
        self.usage = usage_pb2.Usage()
        self.route = usage_pb2.Route()
        self.finish = pb.Finish()

    @property
    def provider(self) -> str:
        """Who answered, by the trailers."""
        return self.trailers["x-llmgateway-provider"]

    @property
    def attempts(self) -> int:
        """How many attempts it took, by the trailers."""
        return int(self.trailers["x-llmgateway-attempts"])

    @property
    def failures(self) -> str:
        """The failed attempts, by the trailers."""
        return self.trailers.get("x-llmgateway-failures", "")

    @property
    def recovered(self) -> Sequence[str]:
        """How it went on after failures in its middle."""
        names = [pb.RecoveryKind.Name(each.kind) for each in self.recoveries]
        return [name.removeprefix("RECOVERY_KIND_") for name in names]

    def add(self, message: pb.GenerateStreamResponse) -> None:
        """Folds one more message."""
        if message.HasField("start"):
            self.route = message.start.route
        if message.HasField("recovery"):
            self.recoveries.append(message.recovery)
            self.route = message.recovery.route
            if message.recovery.kind == pb.RECOVERY_KIND_RESTARTED:
                self.text = self.arguments = ""
        for delta in message.deltas:
            self.text += delta.text
            self.passed_on += delta.text
            self.arguments += delta.tool_call.arguments_json
        if message.HasField("usage"):
            self.usage = message.usage
        if message.HasField("finish"):
            self.finish = message.finish


class Pair:
    """The gateway, and the two behind it with what they were asked."""

    def __init__(
        self, running: Running, upstreams: tuple[Upstream, Upstream], scripts: tuple[Script, Script]
    ) -> None:
        self.running = running
        self.up_a, self.up_b = upstreams
        self.a, self.b = (
            script if isinstance(script, Recorder) else Recorder(script) for script in scripts
        )
        self.up_a.script, self.up_b.script = self.a, self.b

    async def ask(
        self,
        *,
        streams: bool = True,
        recovery: pb.RecoveryMode.ValueType | None = None,
        timeout: float | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        **fields: Any,
    ) -> Answered:
        """The answer to one call; `fields` are those of GenerationInput."""
        asked = question(**{"model": ROUTE, **fields})
        options: dict[str, Any] = {"timeout": timeout, "metadata": tuple(metadata) or None}
        if not streams:
            unary = self.running.generation.Generate(pb.GenerateRequest(input=asked), **options)
            return _of_unary(await unary, await _trailers(unary))
        request = pb.GenerateStreamRequest(input=asked)
        if recovery is not None:
            request.stream_options.recovery = recovery
        call = self.running.generation.GenerateStream(request, **options)
        messages = [message async for message in call]
        answered = Answered(await _trailers(call))
        for message in messages:
            answered.add(message)
        return answered

    async def fail(self, **asked: Any) -> Failed:
        """How a call fails that has to."""
        return await failure_of(self.ask(**asked))

    def totals(self, provider: str) -> tuple[Totals, Totals]:
        """What a target's calls came to: answered and wasted."""
        account = self.running.gateway.accounts.totals().get(TARGETS[provider])
        return (account.answered, account.wasted) if account else (Totals(), Totals())

    @property
    def is_idle(self) -> bool:
        """Whether no call is left anywhere."""
        gateway = self.running.gateway
        in_flight = [gateway.targets.state(target).in_flight for target in TARGETS.values()]
        return (
            not any(in_flight) and not gateway.gate.in_flight and not len(self.running.server.calls)
        )


@asynccontextmanager
async def two_targets(
    a: Script,
    b: Script,
    *,
    route: Tree | None = None,
    provider: Tree | None = None,
    provider_a: Tree | None = None,
    provider_b: Tree | None = None,
    **settings: Any,
) -> AsyncIterator[Pair]:
    """Serves the route over both; no call may be left in the end.

    Args:
        a: What the first target's upstream does.
        b: What the second's does.
        route: More of the route.
        provider: More of both providers.
        provider_a: More of the first one.
        provider_b: More of the second one.
        settings: More of the configuration.
    """
    async with Upstream() as up_a, Upstream() as up_b:
        tree = {
            "providers": {
                "a": {**compatible(up_a.base_url), **(provider or {}), **(provider_a or {})},
                "b": {**compatible(up_b.base_url), **(provider or {}), **(provider_b or {})},
            },
            "routes": {ROUTE: {"targets": ["a/one", "b/two"], **(route or {})}},
            **settings,
        }
        async with gateway_from(tree) as running:
            pair = Pair(running, (up_a, up_b), (a, b))
            yield pair
            await until(lambda: pair.is_idle)


def model(name: str, *, prices: Tree | None = None, **capabilities: Any) -> dict[str, Any]:
    """A provider's configuration of one model."""
    said: dict[str, Any] = {"capabilities": capabilities}
    return {"models": {name: {**said, "prices": prices} if prices else said}}


def _of_unary(response: pb.GenerateResponse, trailers: Mapping[str, str]) -> Answered:
    answered = Answered(trailers)
    answered.text = answered.passed_on = "".join(part.text for part in response.parts)
    answered.arguments = "".join(part.tool_call.arguments_json for part in response.parts)
    answered.usage, answered.route, answered.finish = (
        response.usage,
        response.route,
        response.finish,
    )
    return answered


async def _trailers(call: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in await call.trailing_metadata()}
