"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self, TypeVar, Unpack, cast

import grpc

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

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


class _StreamCall(Protocol):
    """The part of grpc's blocking call object that a stream needs; grpc gives its type no name."""

    def __next__(self) -> GenerateStreamResponse: ...
    def __iter__(self) -> Iterator[GenerateStreamResponse]: ...
    def trailing_metadata(self) -> object: ...
    def cancel(self) -> object: ...


class Stream(Iterator[Event]):
    """An answer while it is made: an iterator of events.

    Use it in a `with` block, or call `close`, where the loop may be left early: the gateway then
    stops the provider at once. Made by `Client.stream`; for one thread at a time, but any thread
    may `close` it.
    """

    def __init__(self, call: _StreamCall) -> None:
        self._call = call
        self._state = StreamState()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._call.cancel()

    def __next__(self) -> Event:
        """The next event.

        Raises:
            GatewayError: the call failed; `partial` has what came before.
        """
        while not self._state.pending:
            if self._state.ended:
                raise StopIteration
            self._receive()
        return self._state.pending.popleft()

    @property
    def partial(self) -> Response:
        """The answer as far as it has come."""
        return self._state.snapshot()

    def response(self) -> Response:
        """The whole answer; reads the rest of the stream first.

        Raises:
            GatewayError: the call failed, now or while it was iterated.
            ValueError: the stream was closed before its end.
        """
        while not self._state.ended:
            self._receive()
        return self._state.response()

    def close(self) -> None:
        """Ends the call, on the wire too; a second time does nothing."""
        self._state.ended = True
        self._state.pending.clear()
        self._call.cancel()

    def _receive(self) -> None:
        over = True
        try:
            message = next(self._call, None)
            if message is None:
                self._state.end(cast("Trailers", self._call.trailing_metadata()))
            else:
                self._state.add(message)
                over = False
        except grpc.RpcError as error:
            raise self._state.fail(error) from error
        finally:
            # Also when the reading thread was interrupted: an abandoned call would go on and cost.
            if over:
                self._state.ended = True
                self._call.cancel()


class Client(ClientBase):
    """A blocking client of the gateway; threads may share one.

    Attributes:
        channel: The gRPC channel.
        stub: The generated GenerationService stub, for all that this client does not wrap.
        embedding: The generated EmbeddingService stub.
        catalog: The generated CatalogService stub.
    """

    channel: grpc.Channel
    stub: GenerationServiceStub
    embedding: EmbeddingServiceStub
    catalog: CatalogServiceStub

    def _open(self) -> None:
        self.channel = self._endpoint.open()
        self.stub = GenerationServiceStub(self.channel)
        self.embedding = EmbeddingServiceStub(self.channel)
        self.catalog = CatalogServiceStub(self.channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel and ends every call on it."""
        self.channel.close()

    def generate(self, prompt: Prompt, **options: Unpack[GenerationOptions]) -> Response:
        """Asks for a whole answer.

        Raises:
            GatewayError: the call failed.
        """
        request = GenerateRequest(input=generation_input(prompt, options))
        return Response(*self._call(self.stub.Generate, request, options))

    def stream(
        self,
        prompt: Prompt,
        *,
        stream_options: StreamOptions | None = None,
        **options: Unpack[GenerationOptions],
    ) -> Stream:
        """Asks for an answer while it is made. Errors come with the first event."""
        request = stream_request(generation_input(prompt, options), stream_options)
        return Stream(self.stub.GenerateStream(request, **self._arguments(options)))

    def count_tokens(
        self, prompt: Prompt, **options: Unpack[GenerationOptions]
    ) -> CountTokensResponse:
        """How many input tokens a prompt has, and whether that is an estimate.

        Raises:
            GatewayError: the call failed.
        """
        request = CountTokensRequest(input=generation_input(prompt, options))
        count, _ = self._call(self.stub.CountTokens, request, options)
        return count

    def embed(self, inputs: EmbeddingInput, **options: Unpack[EmbeddingOptions]) -> Embeddings:
        """Asks for one vector for each text.

        Raises:
            GatewayError: the call failed.
        """
        request = embed_request(inputs, options)
        return Embeddings(*self._call(self.embedding.Embed, request, options))

    def models(self, **options: Unpack[CallOptions]) -> list[Model]:
        """All that `model` can name: routes and the providers' models, by name.

        Raises:
            GatewayError: the call failed.
        """
        models: list[Model] = []
        request = ListModelsRequest()
        while True:
            page, _ = self._call(self.catalog.ListModels, request, options)
            models.extend(page.models)
            if not page.next_page_token:
                return models
            request.page_token = page.next_page_token

    def providers(self, **options: Unpack[CallOptions]) -> list[Provider]:
        """The gateway's providers and how they are, by name.

        Raises:
            GatewayError: the call failed.
        """
        providers: list[Provider] = []
        request = ListProvidersRequest()
        while True:
            page, _ = self._call(self.catalog.ListProviders, request, options)
            providers.extend(page.providers)
            if not page.next_page_token:
                return providers
            request.page_token = page.next_page_token

    def health(self, service: str = "", **options: Unpack[CallOptions]) -> str:
        """SERVING, NOT_SERVING or SERVICE_UNKNOWN by the standard gRPC health service.

        Args:
            service: "" for the gateway as a whole, a full service name, `liveness` or `route/NAME`.
            options: Timeout and headers.

        Raises:
            GatewayError: the call failed.
        """
        method = _health.check_method(self.channel)
        try:
            answer, _ = self._call(method, _health.check_request(service), options)
        except GatewayError as error:
            if error.code is grpc.StatusCode.NOT_FOUND:
                return _health.UNKNOWN
            raise
        return _health.status_name(answer)

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        options: CallOptions,
    ) -> tuple[_Answer, str]:
        """The answer and the request id."""
        # A future, because an interrupted blocking call could not be cancelled.
        call = method.future(request, **self._arguments(options))
        try:
            answer = call.result()
            return answer, request_id(cast("Trailers", call.trailing_metadata()))
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        finally:
            call.cancel()
