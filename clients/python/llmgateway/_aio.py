"""The asyncio client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

import grpc
import grpc.aio

from llmgateway import _health
from llmgateway._base import ClientBase
from llmgateway._embeddings import (
    EmbeddingInput,
    EmbeddingOptions,
    Embeddings,
    embed_request,
)
from llmgateway._errors import GatewayError
from llmgateway._events import Event
from llmgateway._input import (
    CallOptions,
    GenerationOptions,
    Prompt,
    generation_input,
    stream_request,
)
from llmgateway._response import Response
from llmgateway._status import Trailers, error_from_rpc, request_id
from llmgateway._stream import StreamState
from llmgateway.v1.catalog_service_pb2 import (
    ListModelsRequest,
    ListProvidersRequest,
    Model,
    Provider,
)
from llmgateway.v1.catalog_service_pb2_grpc import CatalogServiceStub
from llmgateway.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from llmgateway.v1.generation_service_pb2 import (
    CountTokensRequest,
    CountTokensResponse,
    GenerateRequest,
    GenerateStreamResponse,
    StreamOptions,
)
from llmgateway.v1.generation_service_pb2_grpc import GenerationServiceStub

if TYPE_CHECKING:
    from llmgateway.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub
    from llmgateway.v1.embedding_service_pb2_grpc import EmbeddingServiceAsyncStub
    from llmgateway.v1.generation_service_pb2_grpc import GenerationServiceAsyncStub

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class AsyncStream(AsyncIterator[Event]):
    """An answer while it is made: an asynchronous iterator of events.

    Use it in an `async with` block, or call `close`, where the loop may be left early: the gateway
    then stops the provider at once. Cancelling the task that reads ends the call as well. Made by
    `AsyncClient.stream`; for one task.
    """

    def __init__(self, call: grpc.aio.UnaryStreamCall[Any, GenerateStreamResponse]) -> None:
        self._call = call
        # Not call.read(): that one looks for no more messages once the status is in.
        self._messages = aiter(call)
        self._state = StreamState()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._call.cancel()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event.

        Raises:
            GatewayError: the call failed; `partial` has what came before.
        """
        while not self._state.pending:
            if self._state.ended:
                raise StopAsyncIteration
            await self._receive()
        return self._state.pending.popleft()

    @property
    def partial(self) -> Response:
        """The answer as far as it has come."""
        return self._state.snapshot()

    async def response(self) -> Response:
        """The whole answer; reads the rest of the stream first.

        Raises:
            GatewayError: the call failed, now or while it was iterated.
            ValueError: the stream was closed before its end.
        """
        while not self._state.ended:
            await self._receive()
        return self._state.response()

    def close(self) -> None:
        """Ends the call, on the wire too, without waiting; a second time does nothing."""
        self._state.ended = True
        self._state.pending.clear()
        self._call.cancel()

    async def _receive(self) -> None:
        over = True
        try:
            message = await anext(self._messages, None)
            if message is None:
                trailers = await self._call.trailing_metadata()
                self._state.end(cast("Trailers", trailers))
            else:
                self._state.add(message)
                over = False
        except grpc.aio.AioRpcError as error:
            raise self._state.fail(error) from error
        finally:
            # A cancelled task alone does not always end the call on the wire: grpc.aio leaves a few
            # in a thousand open, and the provider writing.
            if over:
                self._state.ended = True
                self._call.cancel()


class AsyncClient(ClientBase):
    """An asyncio client of the gateway, for the loop in which it is first used.

    Attributes:
        channel: The gRPC channel.
        stub: The generated GenerationService stub, for all that this client does not wrap.
        embedding: The generated EmbeddingService stub.
        catalog: The generated CatalogService stub.
    """

    def _open(self) -> None:
        """Does nothing: grpc.aio ties a channel to the loop, which may not run yet."""

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        return self._endpoint.open_async()

    @cached_property
    def stub(self) -> GenerationServiceAsyncStub:
        return GenerationServiceStub(self.channel)

    @cached_property
    def embedding(self) -> EmbeddingServiceAsyncStub:
        return EmbeddingServiceStub(self.channel)

    @cached_property
    def catalog(self) -> CatalogServiceAsyncStub:
        return CatalogServiceStub(self.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel and ends every call on it."""
        await self.channel.close()

    async def generate(self, prompt: Prompt, **options: Unpack[GenerationOptions]) -> Response:
        """Asks for a whole answer.

        Raises:
            GatewayError: the call failed.
        """
        request = GenerateRequest(input=generation_input(prompt, options))
        return Response(*await self._call(self.stub.Generate, request, options))

    def stream(
        self,
        prompt: Prompt,
        *,
        stream_options: StreamOptions | None = None,
        **options: Unpack[GenerationOptions],
    ) -> AsyncStream:
        """Asks for an answer while it is made. Errors come with the first event."""
        request = stream_request(generation_input(prompt, options), stream_options)
        return AsyncStream(self.stub.GenerateStream(request, **self._arguments(options)))

    async def count_tokens(
        self, prompt: Prompt, **options: Unpack[GenerationOptions]
    ) -> CountTokensResponse:
        """How many input tokens a prompt has, and whether that is an estimate.

        Raises:
            GatewayError: the call failed.
        """
        request = CountTokensRequest(input=generation_input(prompt, options))
        count, _ = await self._call(self.stub.CountTokens, request, options)
        return count

    async def embed(
        self, inputs: EmbeddingInput, **options: Unpack[EmbeddingOptions]
    ) -> Embeddings:
        """Asks for one vector for each text.

        Raises:
            GatewayError: the call failed.
        """
        request = embed_request(inputs, options)
        return Embeddings(*await self._call(self.embedding.Embed, request, options))

    async def models(self, **options: Unpack[CallOptions]) -> list[Model]:
        """All that `model` can name: routes and the providers' models, by name.

        Raises:
            GatewayError: the call failed.
        """
        models: list[Model] = []
        request = ListModelsRequest()
        while True:
            page, _ = await self._call(self.catalog.ListModels, request, options)
            models.extend(page.models)
            if not page.next_page_token:
                return models
            request.page_token = page.next_page_token

    async def providers(self, **options: Unpack[CallOptions]) -> list[Provider]:
        """The gateway's providers and how they are, by name.

        Raises:
            GatewayError: the call failed.
        """
        providers: list[Provider] = []
        request = ListProvidersRequest()
        while True:
            page, _ = await self._call(self.catalog.ListProviders, request, options)
            providers.extend(page.providers)
            if not page.next_page_token:
                return providers
            request.page_token = page.next_page_token

    async def health(self, service: str = "", **options: Unpack[CallOptions]) -> str:
        """SERVING, NOT_SERVING or SERVICE_UNKNOWN by the standard gRPC health service.

        Args:
            service: "" for the gateway as a whole, a full service name, `liveness` or `route/NAME`.
            options: Timeout and headers.

        Raises:
            GatewayError: the call failed.
        """
        method = _health.check_method(self.channel)
        try:
            answer, _ = await self._call(method, _health.check_request(service), options)
        except GatewayError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return _health.UNKNOWN
            raise
        return _health.status_name(answer)

    async def _call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        options: CallOptions,
    ) -> tuple[_Answer, str]:
        """The answer and the request id."""
        call = method(request, **self._arguments(options))
        try:
            answer = await call
            return answer, request_id(cast("Trailers", await call.trailing_metadata()))
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        finally:
            call.cancel()
