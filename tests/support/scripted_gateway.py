"""A gateway that follows a script: a real gRPC server on loopback, without any provider.

with ScriptedGateway() as gateway:
    gateway.script = [START, text("Hello"), FINISH]
    with Client(gateway.address) as client: ...

It runs in threads, so that blocking, asyncio and command-line clients can all be tried on it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from llmgateway import Fold
from llmgateway.v1 import catalog_service_pb2 as catalog
from llmgateway.v1 import generation_service_pb2 as generation
from llmgateway.v1.usage_pb2 import Route, Usage

REQUEST_ID = "request-1"

START = generation.GenerateStreamResponse(
    start=generation.StreamStart(
        response_id="01JAAAAAAAAAAAAAAAAAAAAAAA",
        model="demo/small",
        route=Route(provider="demo", provider_model="small", attempt_count=1),
    )
)
HEARTBEAT = generation.GenerateStreamResponse()
FINISH = generation.GenerateStreamResponse(
    usage=Usage(input_token_count=3, output_token_count=5),
    finish=generation.Finish(reason=generation.FINISH_REASON_STOP, provider_reason="stop"),
)


def text(*pieces: str, part_index: int = 0) -> generation.GenerateStreamResponse:
    """A message with one delta a piece."""
    deltas = [generation.Delta(text=piece, part_index=part_index) for piece in pieces]
    return generation.GenerateStreamResponse(deltas=deltas)


class Hang:
    """A step that waits for the caller to go."""


@dataclass
class Abort:
    """A step that fails the call; without a reason as a proxy would, with one as the gateway."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "it failed"
    details: tuple[Message, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    trailers: tuple[tuple[str, str | bytes], ...] = ()

    def all_trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        """The trailers that go with the status."""
        if not self.reason:
            return self.trailers
        status = Status(code=self.code.value[0], message=self.message)
        info = ErrorInfo(reason=self.reason, domain="llmgateway", metadata=self.metadata)
        for detail in (info, *self.details):
            status.details.add().Pack(detail)
        return (
            ("grpc-status-details-bin", status.SerializeToString()),
            ("x-request-id", REQUEST_ID),
            *self.trailers,
        )


Step = generation.GenerateStreamResponse | Abort | Hang | Callable[[], None]


class ScriptedGateway:
    """Plays `script` to every call, or `scripts` one after the other."""

    def __init__(self, credentials: grpc.ServerCredentials | None = None) -> None:
        self.script: list[Step] = [START, text("Hel", "lo"), FINISH]
        self.scripts: list[list[Step]] = []
        self.models = [catalog.Model(name="chat", targets=["demo/small"])]
        self.providers = [catalog.Provider(name="demo", dialect="openai_chat")]
        self.requests: list[Any] = []
        self.metadata: dict[str, str | bytes] = {}
        self.calls_alive = 0
        self._changed = threading.Condition()
        self._health = HealthServicer()
        self._server = grpc.server(ThreadPoolExecutor(16), options=(("grpc.so_reuseport", 0),))
        self._server.add_generic_rpc_handlers(self._handlers())
        add_HealthServicer_to_server(self._health, self._server)
        if credentials is None:
            port = self._server.add_insecure_port("127.0.0.1:0")
        else:
            port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self.address = f"127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.stop(None).wait()

    def set_serving(self, service: str, *, serving: bool = True) -> None:
        """Says how the service is, as the standard health service does."""
        states = HealthCheckResponse.ServingStatus
        self._health.set(service, states.Value("SERVING" if serving else "NOT_SERVING"))

    def wait_for_calls(self, count: int, *, alive: int, timeout: float = 5.0) -> None:
        """Waits until `count` calls have come and `alive` of them are still there."""

        def holds() -> bool:
            return len(self.requests) == count and self.calls_alive == alive

        with self._changed:
            assert self._changed.wait_for(holds, timeout), (len(self.requests), self.calls_alive)

    def _handlers(self) -> list[grpc.GenericRpcHandler]:
        services: dict[str, dict[str, grpc.RpcMethodHandler[Any, Any]]] = {
            "llmgateway.v1.GenerationService": {
                "Generate": grpc.unary_unary_rpc_method_handler(
                    self._generate,
                    generation.GenerateRequest.FromString,
                    generation.GenerateResponse.SerializeToString,
                ),
                "GenerateStream": grpc.unary_stream_rpc_method_handler(
                    self._stream,
                    generation.GenerateStreamRequest.FromString,
                    generation.GenerateStreamResponse.SerializeToString,
                ),
            },
            "llmgateway.v1.CatalogService": {
                "ListModels": grpc.unary_unary_rpc_method_handler(
                    self._list_models,
                    catalog.ListModelsRequest.FromString,
                    catalog.ListModelsResponse.SerializeToString,
                ),
                "ListProviders": grpc.unary_unary_rpc_method_handler(
                    self._list_providers,
                    catalog.ListProvidersRequest.FromString,
                    catalog.ListProvidersResponse.SerializeToString,
                ),
            },
        }
        return [
            grpc.method_handlers_generic_handler(name, methods)
            for name, methods in services.items()
        ]

    def _stream(
        self,
        request: generation.GenerateStreamRequest | generation.GenerateRequest,
        context: Any,
    ) -> Iterator[generation.GenerateStreamResponse]:
        gone = self._begin(request, context)
        for step in self._next_script():
            if isinstance(step, generation.GenerateStreamResponse):
                yield step
            else:
                self._act(step, context, gone)
        context.set_trailing_metadata((("x-request-id", REQUEST_ID),))

    def _generate(
        self, request: generation.GenerateRequest, context: Any
    ) -> generation.GenerateResponse:
        fold = Fold()
        for message in self._stream(request, context):
            fold.add(message)
        return fold.answer()

    def _list_models(
        self, request: catalog.ListModelsRequest, context: Any
    ) -> catalog.ListModelsResponse:
        self._begin(request, context)
        index = int(request.page_token or 0)
        more = str(index + 1) if index + 1 < len(self.models) else ""
        page = self.models[index : index + 1]
        return catalog.ListModelsResponse(models=page, next_page_token=more)

    def _list_providers(
        self, request: catalog.ListProvidersRequest, context: Any
    ) -> catalog.ListProvidersResponse:
        self._begin(request, context)
        index = int(request.page_token or 0)
        more = str(index + 1) if index + 1 < len(self.providers) else ""
        page = self.providers[index : index + 1]
        return catalog.ListProvidersResponse(providers=page, next_page_token=more)

    def _next_script(self) -> list[Step]:
        return self.scripts.pop(0) if self.scripts else self.script

    def _begin(self, request: Any, context: Any) -> threading.Event:
        gone = threading.Event()

        def end() -> None:
            gone.set()
            with self._changed:
                self.calls_alive -= 1
                self._changed.notify_all()

        with self._changed:
            self.requests.append(request)
            self.metadata = {item.key: item.value for item in context.invocation_metadata()}
            self.calls_alive += 1
            self._changed.notify_all()
        if not context.add_callback(end):
            end()
        return gone

    def _act(self, step: Abort | Hang | Callable[[], None], context: Any, gone: Any) -> None:
        if isinstance(step, Abort):
            _abort(step, context)
        elif isinstance(step, Hang):
            assert gone.wait(20), "the caller never went"
        else:
            step()


def _abort(step: Abort, context: Any) -> NoReturn:
    context.set_trailing_metadata(step.all_trailers())
    context.abort(step.code, step.message)
    raise AssertionError("abort returns never")


def pause(seconds: float) -> Callable[[], None]:
    """A step that takes time."""
    return lambda: time.sleep(seconds)
