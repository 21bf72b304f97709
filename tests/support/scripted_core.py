"""A core that follows a script, for tests of what stands in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.catalog import (
    ProviderEntry,
    ProviderState,
    ProviderStatus,
    RouteEntry,
    RouteTarget,
    Target,
)
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import StreamEvent, StreamStart
from llmgateway_server.domain.request import CallOptions, GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.routing.routes import RouteTable
from support.steps import next_batch

ROUTE = Route("up", "tiny")
START = StreamStart("01JAAAAAAAAAAAAAAAAAAAAAAA", "up/tiny", ROUTE)

Batch = Sequence[StreamEvent]
# A pause in seconds, a batch that a read returns, or an error that it raises.
Step = float | Batch | GatewayError


class ScriptedGeneration:
    """Plays its steps, one batch a read; `failures` are known once it has begun to."""

    def __init__(self, steps: Sequence[Step], failures: Sequence[GatewayError] = ()) -> None:
        self.response_id = START.response_id
        self.route = ROUTE
        self.dropped: tuple[str, ...] = ()
        self.failures: tuple[GatewayError, ...] = ()
        self.closed = 0
        self._steps = list(steps)
        self._failures = tuple(failures)

    async def read(self) -> Batch:
        self.failures = self._failures
        return await next_batch(self._steps)

    def close(self) -> None:
        self.closed += 1


class ScriptedCore:
    """Stands where a Gateway would; `asked` has the options of every call.

    Each generation is made of `steps` and `failures`; `refusals` come first, one a call. The
    other calls are all refused. One provider, `up`, and the routes named.
    """

    def __init__(
        self,
        steps: Sequence[Step] = (),
        *,
        failures: Sequence[GatewayError] = (),
        refusals: Sequence[GatewayError] = (),
        routes: Sequence[str] = (),
    ) -> None:
        place = RouteTarget(Target("up", "tiny"))
        self.table = RouteTable(
            [RouteEntry(name, (place,)) for name in routes],
            [ProviderEntry("up", "scripted", passes_any_model=True, timers=Timers())],
            [],
        )
        self.asked: list[CallOptions] = []
        self.generations: list[ScriptedGeneration] = []
        self.shut: set[str] = set()
        self.status = ProviderStatus(ProviderState.ACTIVE, 0.0, 0)
        self._steps = steps
        self._failures = failures
        self._refusals = list(refusals)

    @property
    def gateway(self) -> Gateway:
        """The same, for what wants a Gateway."""
        return cast("Gateway", self)

    async def generate(
        self, request: GenerationRequest, options: CallOptions
    ) -> ScriptedGeneration:
        del request
        self.asked.append(options)
        if self._refusals:
            raise self._refusals.pop(0)
        generation = ScriptedGeneration(self._steps, self._failures)
        self.generations.append(generation)
        return generation

    def embed(self, request: EmbeddingRequest, options: CallOptions) -> None:
        del request
        self.asked.append(options)
        raise GatewayError(Reason.MODEL_NOT_FOUND, "nothing embeds here")

    def count_tokens(self, request: GenerationRequest, options: CallOptions) -> None:
        del request
        self.asked.append(options)
        raise GatewayError(Reason.MODEL_NOT_FOUND, "nothing counts here")

    def provider_status(self, name: str) -> ProviderStatus:
        assert name in self.table.providers
        return self.status

    def route_is_open(self, name: str) -> bool:
        return name not in self.shut

    async def shutdown(self) -> None:
        return None
