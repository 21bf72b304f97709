"""A provider behind HTTP: the whole life of one, whatever dialect it speaks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from msgspec.structs import replace

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import (
    ProviderHealth,
    ProviderMetrics,
    ProviderSettings,
    ProviderStream,
)
from llmgateway_server.providers.call_meter import CallMeter, MeteredCall
from llmgateway_server.providers.dialect import Dialect
from llmgateway_server.providers.http import HttpTransport
from llmgateway_server.providers.http_exchange import Exchanges
from llmgateway_server.providers.http_stream import HttpStream, decoder_for

# Servers without a list of models answer the probe so; that they answer is what it shows.
_NO_SUCH_PAGE = frozenset({404, 405})


class HttpProvider:
    """A provider behind HTTP, speaking one dialect; see the port."""

    def __init__(
        self,
        settings: ProviderSettings,
        dialect_of: Callable[[ProviderSettings], Dialect],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepares URL and headers; nothing is connected before the first call.

        Args:
            settings: where and who; `options` is the dialect's own affair.
            dialect_of: makes the dialect, for these settings and for each update of them.
            transport: what sends requests; its responses' streams are `ResponseStream`s.
            now: Unix time in seconds, for a Retry-After that is a date.

        Raises:
            ValueError: the key holds a character that no HTTP header can carry.
        """
        self._dialect_of = dialect_of
        self._now = now
        self._meter = CallMeter()
        self._exchanges = self._prepared(settings, transport or _transport_for(settings))
        # Those of earlier settings, whose calls may still be in flight; what is idle in them is
        # closed by their own clock.
        self._retired: list[httpx.AsyncBaseTransport] = []

    async def initialize(self) -> None:
        """Does nothing: connections are opened by the calls that need them."""

    async def open(
        self, request: GenerationRequest, model: str, timers: Timers, *, fresh: bool = False
    ) -> ProviderStream:
        """Sends the request; see the port."""
        exchanges = self._exchanges
        dialect, capabilities = exchanges.dialect, exchanges.capabilities(model)
        stream = capabilities.streaming is not False
        call = dialect.build(request, model, capabilities, stream=stream)
        with self._metered() as metered:
            answer = await exchanges.send(call, model, timers, fresh=fresh)
            try:
                decoder = decoder_for(answer, dialect)
            except BaseException:
                answer.body.close()
                raise
            return HttpStream(answer, decoder, metered, echo=call.echo)

    async def embed(self, request: EmbeddingRequest, model: str, timers: Timers) -> EmbeddingAnswer:
        """Embeds texts, one batch after the other; see the port."""
        exchanges = self._exchanges
        dialect = exchanges.dialect
        size = dialect.embedding_batch
        inputs = request.inputs
        vectors: list[bytes] = []
        used = 0
        last_id = ""
        for at in range(0, len(inputs), size):
            batch = inputs[at : at + size]
            try:
                answer = await self._embed(exchanges, request, batch, model, timers)
            except GatewayError as error:
                error.usage = Usage(input_token_count=used) if used else None
                raise
            vectors += answer.vectors
            used += answer.usage.input_token_count
            last_id = answer.request_id
        return EmbeddingAnswer(tuple(vectors), Usage(input_token_count=used), last_id)

    async def count_tokens(
        self, request: GenerationRequest, model: str, timers: Timers
    ) -> int | None:
        """Has the provider count, where it can; see the port."""
        exchanges = self._exchanges
        dialect = exchanges.dialect
        call = dialect.count_call(request, model, exchanges.capabilities(model))
        if call is None:
            return None
        count, _ = await exchanges.fetch(call, model, timers, dialect.read_count)
        return count

    async def validate(self, timers: Timers) -> ProviderHealth:
        """Asks for the list of models, or what else is cheap; see the port."""
        exchanges = self._exchanges
        began = time.monotonic()
        error: GatewayError | None = None
        try:
            async with asyncio.timeout(timers.first_content):
                await exchanges.fetch(exchanges.dialect.probe(), "", timers, lambda body: body)
        except GatewayError as failure:
            if not failure.attempts or failure.attempts[-1].http_status not in _NO_SUCH_PAGE:
                error = failure
        except TimeoutError:
            error = GatewayError(Reason.PROVIDER_TIMEOUT, "did not answer in time")
        latency = time.monotonic() - began
        if error is not None:
            return ProviderHealth(False, latency, error.reason, error.message)
        return ProviderHealth(True, latency)

    async def update_config(self, settings: ProviderSettings) -> None:
        """Serves later calls by new settings; see the port."""
        before = self._exchanges
        old = before.settings
        if (old.connections, old.idle) == (settings.connections, settings.idle):
            self._exchanges = self._prepared(settings, before.transport)
        else:
            self._exchanges = self._prepared(settings, _transport_for(settings))
            self._retired.append(before.transport)

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model; see the port."""
        return self._exchanges.capabilities(model)

    def metrics(self) -> ProviderMetrics:
        """What happened so far; see the port."""
        return self._meter.snapshot()

    async def shutdown(self) -> None:
        """Closes the connections; see the port."""
        for transport in (self._exchanges.transport, *self._retired):
            await transport.aclose()

    async def _embed(
        self,
        exchanges: Exchanges,
        request: EmbeddingRequest,
        inputs: tuple[str, ...],
        model: str,
        timers: Timers,
    ) -> EmbeddingAnswer:
        dialect = exchanges.dialect
        part = replace(request, inputs=inputs)
        call = dialect.embed_call(part, model)
        with self._metered() as metered:
            answer, shown_id = await exchanges.fetch(
                call, model, timers, lambda body: dialect.read_embeddings(body, len(inputs))
            )
            metered.succeeded(answer.usage)
            return replace(answer, request_id=shown_id)

    @contextmanager
    def _metered(self) -> Iterator[MeteredCall]:
        """A call that counts as failed or cancelled where its beginning raises."""
        metered = self._meter.begin()
        try:
            yield metered
        except GatewayError:
            metered.failed()
            raise
        except BaseException:
            metered.cancelled()
            raise

    def _prepared(
        self, settings: ProviderSettings, transport: httpx.AsyncBaseTransport
    ) -> Exchanges:
        return Exchanges(settings, self._dialect_of(settings), transport, self._now)


def _transport_for(settings: ProviderSettings) -> HttpTransport:
    return HttpTransport(connections=settings.connections, idle=settings.idle)
