"""A provider that follows a script, for tests of the core without I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.policies import AdmissionLimits
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.ports.provider import (
    Provider,
    ProviderHealth,
    ProviderMetrics,
    ProviderSettings,
)
from llmgateway_server.routing.routes import RouteTable
from llmgateway_server.routing.strategies import installed_strategies
from llmgateway_server.stores.memory import MemoryStore
from support.money import FixedPrices, FourBytesAToken
from support.steps import next_batch

Batch = Sequence[ProviderEvent]
# A pause in seconds, a batch that a read returns, or an error that it raises.
Step = float | Batch | GatewayError


class ScriptedStream:
    """Plays its steps, one batch a read."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)
        self.request_id = "req-1"
        self.usage: Usage | None = None
        self.closed = 0

    @property
    def is_over(self) -> bool:
        """Whether all of it was played."""
        return not self._steps

    async def read(self) -> Batch:
        return await next_batch(self._steps)

    def close(self) -> None:
        self.closed += 1


class ScriptedProvider:
    """Answers every call after `opening` seconds, or fails it with `refusal`.

    A stream plays its steps; `embedding` and `tokens` are the answers to the other calls, and
    None that the provider has none.
    """

    def __init__(
        self,
        steps: Sequence[Step] = (),
        *,
        embedding: EmbeddingAnswer | None = None,
        tokens: int | None = None,
        opening: float = 0.0,
        refusal: GatewayError | None = None,
    ) -> None:
        self.stream = ScriptedStream(steps)
        self.opened: list[tuple[GenerationRequest, str]] = []
        # Whether each of them was to have a connection of its own.
        self.fresh: list[bool] = []
        self.embedded: list[tuple[EmbeddingRequest, str]] = []
        self.counted: list[tuple[GenerationRequest, str]] = []
        self.is_shut_down = False
        self._embedding = embedding
        self._tokens = tokens
        self._opening = opening
        self._refusal = refusal

    async def initialize(self) -> None:
        return None

    async def open(
        self, request: GenerationRequest, model: str, timers: Timers, *, fresh: bool = False
    ) -> ScriptedStream:
        del timers
        self.opened.append((request, model))
        self.fresh.append(fresh)
        await self._begin()
        return self.stream

    async def embed(self, request: EmbeddingRequest, model: str, timers: Timers) -> EmbeddingAnswer:
        del timers
        self.embedded.append((request, model))
        await self._begin()
        if self._embedding is None:
            raise GatewayError(Reason.CAPABILITY_UNSUPPORTED, "it has no embeddings")
        return self._embedding

    async def count_tokens(
        self, request: GenerationRequest, model: str, timers: Timers
    ) -> int | None:
        del timers
        self.counted.append((request, model))
        await self._begin()
        return self._tokens

    async def validate(self, timers: Timers) -> ProviderHealth:
        del timers
        return ProviderHealth(is_healthy=True, latency=0.0)

    async def update_config(self, settings: ProviderSettings) -> None:
        del settings

    def capabilities(self, model: str) -> Capabilities:
        del model
        return Capabilities()

    def metrics(self) -> ProviderMetrics:
        return ProviderMetrics()

    async def shutdown(self) -> None:
        self.is_shut_down = True

    async def _begin(self) -> None:
        await asyncio.sleep(self._opening)
        if self._refusal is not None:
            raise self._refusal


def gateway_over(provider: Provider, *, prices: PriceBook | None = None) -> Gateway:
    """A gateway to a provider `up` of any model; the route `words` leads to `up/tiny`."""
    timers = Timers()
    table = RouteTable(
        routes=[RouteEntry("words", (RouteTarget(Target("up", "tiny"), timers),))],
        providers=[ProviderEntry("up", "scripted", passes_any_model=True, timers=timers)],
        models=[],
    )
    return gateway_of(table, {"up": provider}, prices=prices)


def gateway_of(
    table: RouteTable,
    providers: Mapping[str, Provider],
    *,
    prices: PriceBook | None = None,
    admission: AdmissionLimits | None = None,
) -> Gateway:
    """A gateway over a table and its providers, in the running event loop."""
    clock = asyncio.get_running_loop()
    return Gateway(
        table,
        providers,
        prices or FixedPrices(),
        FourBytesAToken(),
        strategies=installed_strategies(),
        store=MemoryStore(1 << 20, clock),
        clock=clock,
        admission=admission or AdmissionLimits(),
    )
