"""The entry of the core: a request in, an answer that can be pulled out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from llmgateway_server.admission.gate import Gate
from llmgateway_server.cache.entry import decode_entry, encode_entry, is_storable
from llmgateway_server.cache.flights import Flights
from llmgateway_server.cache.key import cache_key, is_cacheable
from llmgateway_server.domain.answer import Answer, CacheStatus
from llmgateway_server.domain.catalog import ProviderStatus, Target
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.policies import AdmissionLimits
from llmgateway_server.domain.request import CacheMode, CallOptions, GenerationRequest
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.answering import Answering, Replay, Source
from llmgateway_server.gateway.calls import Calls
from llmgateway_server.gateway.counting import Counting
from llmgateway_server.gateway.embedding import Embedding
from llmgateway_server.gateway.generation import Generation
from llmgateway_server.ports.clock import Clock
from llmgateway_server.ports.pricing import PriceBook
from llmgateway_server.ports.provider import Provider
from llmgateway_server.ports.store import ResponseStore
from llmgateway_server.ports.strategy import Strategy
from llmgateway_server.ports.tokens import TokenCounter
from llmgateway_server.routing.health_checker import HealthChecker
from llmgateway_server.routing.route_state import RouteStates
from llmgateway_server.routing.routes import Resolution, RouteTable
from llmgateway_server.routing.targets import Targets

_DEFAULT_ADMISSION: Final = AdmissionLimits()


class Gateway:
    """Answers calls by the providers of one configuration.

    What its methods give is used, and closed where it can be, by the calling task. They raise
    GatewayError where a request leads to no target.

    Args:
        table: routes, providers and models.
        providers: the providers by name.
        prices: what models cost.
        counter: estimates and counts tokens.
        strategies: makers of the strategies that routes name.
        store: keeps answers of routes that have a cache.
        clock: the event loop, or a test's own clock.
        admission: how many calls are worked on at the same time.
        health_interval: seconds between two checks of a provider; None: it is never asked.
    """

    def __init__(
        self,
        table: RouteTable,
        providers: Mapping[str, Provider],
        prices: PriceBook,
        counter: TokenCounter,
        *,
        strategies: Mapping[str, Callable[[], Strategy]],
        store: ResponseStore,
        clock: Clock,
        admission: AdmissionLimits = _DEFAULT_ADMISSION,
        health_interval: float | None = None,
    ) -> None:
        self.table = table
        self.accounts = Accounts(prices, counter, table.providers)
        self.targets = Targets(table.providers, providers, prices, clock)
        self.gate = Gate(admission, clock)
        self._providers = providers
        self._store = store
        self._clock = clock
        self._flights = Flights(clock)
        routes = RouteStates(table.routes, strategies)
        self._calls = Calls(
            table,
            targets=self.targets,
            routes=routes,
            accounts=self.accounts,
            counter=counter,
            gate=self.gate,
            clock=clock,
        )
        self._checker = (
            HealthChecker(self.targets, health_interval) if health_interval is not None else None
        )
        self._storing: set[asyncio.Task[None]] = set()

    async def generate(self, request: GenerationRequest, options: CallOptions) -> Answering:
        """An answer to be read, and closed in a `finally`."""
        resolution = self.table.resolve(request)
        priority = request.routing.priority
        slot = self.gate.enter_now(priority) or await self.gate.enter(priority, options.deadline)
        try:
            source: Source
            if self._is_kept(request, resolution):
                source = await self._kept(request, resolution, options, slot.queued)
            else:
                source = self._calls.generation(
                    request,
                    resolution,
                    options,
                    cache_status=CacheStatus.BYPASS,
                    queued=slot.queued,
                )
        except BaseException:
            slot.leave()
            raise
        return Answering(source, slot)

    def embed(self, request: EmbeddingRequest, options: CallOptions) -> Embedding:
        """The vectors of texts."""
        return self._calls.embedding(request, self.table.resolve(request), options)

    def count_tokens(self, request: GenerationRequest, options: CallOptions) -> Counting:
        """The size of a request."""
        return self._calls.counting(request, self.table.resolve(request), options)

    def provider_status(self, name: str) -> ProviderStatus:
        """How a provider is, as far as its calls and checks have shown."""
        return self.targets.status(name)

    def route_is_open(self, name: str) -> bool:
        """Whether at least one target of a route can be asked."""
        return self.targets.is_any_open(place.target for place in self.table.routes[name].targets)

    async def initialize(self) -> None:
        """Prepares the providers; before the first call."""
        for provider in self._providers.values():
            await provider.initialize()
        if self._checker is not None:
            self._checker.start()

    async def shutdown(self) -> None:
        """Closes the providers; no call may be in flight."""
        if self._checker is not None:
            await self._checker.stop()
        await self._flights.shutdown()
        if self._storing:
            await asyncio.wait(self._storing)
        for provider in self._providers.values():
            await provider.shutdown()

    def _is_kept(self, request: GenerationRequest, resolution: Resolution) -> bool:
        """Whether the answer may come from the cache, and go into it.

        Raises:
            GatewayError: CAPABILITY_UNSUPPORTED, the caller wants a cached answer or none.
        """
        mode, policy = request.routing.cache_mode, resolution.entry.cache
        if policy is not None and mode is not CacheMode.BYPASS and is_cacheable(request, policy):
            return True
        if mode is CacheMode.ONLY:
            raise _not_cached()
        return False

    async def _kept(
        self,
        request: GenerationRequest,
        resolution: Resolution,
        options: CallOptions,
        queued: float,
    ) -> Source:
        """Who answers: the cache, or a call that this or an identical request began."""
        ttl = resolution.entry.cache.ttl if resolution.entry.cache is not None else 0.0
        came = self._clock.time()
        key = cache_key(request, route=resolution.entry.name, tenant=options.tenant)
        data = await self._store.get(key)
        answer = decode_entry(data) if data is not None else None
        if answer is not None:
            target = Target(answer.route.provider, answer.route.provider_model)
            dropped = self._calls.dropped(request, resolution, target)
            return Replay(answer, self._clock, came, queued=queued, dropped=dropped)
        if request.routing.cache_mode is CacheMode.ONLY:
            raise _not_cached()

        def start(deadline: float) -> Generation:
            return self._calls.generation(
                request,
                resolution,
                CallOptions(deadline, options.recovery, options.previous_attempts, options.tenant),
                cache_status=CacheStatus.MISS,
                queued=queued,
            )

        def finished(whole: Answer) -> None:
            self._keep(key, whole, ttl)

        return self._flights.join(
            _flight_key(key, request, resolution, options), options.deadline, start, finished
        )

    def _keep(self, key: bytes, answer: Answer, ttl: float) -> None:
        if is_storable(answer):
            task = asyncio.ensure_future(self._store.put(key, encode_entry(answer), ttl))
            self._storing.add(task)
            task.add_done_callback(self._storing.discard)


def _flight_key(
    key: bytes, request: GenerationRequest, resolution: Resolution, options: CallOptions
) -> bytes:
    """The same answer, sought in the same way: only such calls can share one attempt."""
    recovery = options.recovery or resolution.entry.recovery
    routing = request.routing
    way = (
        recovery.value,
        routing.first_content_timeout,
        routing.idle_content_timeout,
        routing.max_attempts,
        min(options.previous_attempts, 1),
    )
    return hashlib.sha256(key + repr(way).encode()).digest()


def _not_cached() -> GatewayError:
    return GatewayError(
        Reason.CAPABILITY_UNSUPPORTED,
        "cache_mode ONLY asks for a cached answer, and there is none",
        metadata=(("capability", "cache"), ("field", "input.routing.cache_mode")),
    )
