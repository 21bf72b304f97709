"""A gateway in this process: real gRPC in front, whatever provider a test gives it behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from llmgateway.v1 import (
    catalog_service_pb2_grpc,
    content_pb2,
    errors_pb2,
    generation_service_pb2_grpc,
)
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server import bootstrap, config
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.providers.dialect import installed_dialects
from llmgateway_server.routing.strategies import installed_strategies
from llmgateway_server.transport.grpc.server import GatewayServer, Listener

KEY = "sk-canary-4f0c2b9d7e"
MODEL = "up/tiny"


class Running:
    """A serving gateway and a client of it."""

    def __init__(self, gateway: Gateway, server: GatewayServer, address: str) -> None:
        self.gateway = gateway
        self.server = server
        self.address = address
        self.channel = grpc.aio.insecure_channel(address)
        self.generation = generation_service_pb2_grpc.GenerationServiceStub(self.channel)
        self.catalog = catalog_service_pb2_grpc.CatalogServiceStub(self.channel)

    async def stream(
        self, request: pb.GenerateStreamRequest | None = None, **options: Any
    ) -> list[pb.GenerateStreamResponse]:
        """Every message of a stream that ends well."""
        call = self.generation.GenerateStream(request or ask(), **options)
        return [message async for message in call]


def ask(text: str = "hi", **fields: Any) -> pb.GenerateStreamRequest:
    """A request for one stream; `fields` are those of GenerationInput."""
    return pb.GenerateStreamRequest(input=question(text, **fields))


def question(text: str = "hi", **fields: Any) -> pb.GenerationInput:
    """One user message to the test's model."""
    message = content_pb2.Message(
        role=content_pb2.ROLE_USER, parts=[content_pb2.ContentPart(text=text)]
    )
    return pb.GenerationInput(**{"model": MODEL, "messages": [message], **fields})


def text_of(messages: Sequence[pb.GenerateStreamResponse]) -> str:
    """The text of a stream, all parts together."""
    return "".join(delta.text for message in messages for delta in message.deltas)


async def first_of(call: Any) -> pb.GenerateStreamResponse:
    """The next message of a stream that has one."""
    message = await call.read()
    assert isinstance(message, pb.GenerateStreamResponse)
    return message


async def rest_of(call: Any) -> str:
    """The text of the messages that are still to come."""
    text = ""
    while isinstance(message := await call.read(), pb.GenerateStreamResponse):
        text += text_of([message])
    return text


@asynccontextmanager
async def serving(gateway: Gateway, host: str = "127.0.0.1") -> AsyncIterator[Running]:
    """Serves a gateway on a free port."""
    server = GatewayServer(gateway, with_reflection=True)
    (address,) = await server.start([Listener(f"{host}:0")])
    running = Running(gateway, server, address)
    try:
        yield running
    finally:
        await running.channel.close()
        await server.stop()
        await gateway.shutdown()


@asynccontextmanager
async def gateway_to(
    base_url: str,
    *,
    provider: Mapping[str, Any] | None = None,
    routes: Mapping[str, Any] | None = None,
) -> AsyncIterator[Running]:
    """A gateway with one OpenAI-compatible provider, `up`, configured as a user would."""
    tree = {
        "providers": {"up": {**compatible(base_url), **(provider or {})}},
        "routes": dict(routes or {}),
    }
    async with gateway_from(tree) as running:
        yield running


@asynccontextmanager
async def gateway_from(tree: Mapping[str, Any], host: str = "127.0.0.1") -> AsyncIterator[Running]:
    """A gateway as its configuration says; `env:UP_KEY` is there to be named."""
    plugins = installed_dialects()
    loaded = config.load_mapping(
        dict(tree),
        {"UP_KEY": KEY},
        dialects=bootstrap.option_models(plugins),
        strategies=installed_strategies(),
        source="test",
    )
    async with serving(bootstrap.build_gateway(loaded, plugins), host) as running:
        yield running


def compatible(base_url: str) -> dict[str, Any]:
    """The configuration of an OpenAI-compatible provider."""
    return {"dialect": "openai_chat", "base_url": base_url, "api_key": "env:UP_KEY"}


class Failed:
    """A call's failure, unpacked."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.message = error.details() or ""
        self.trailers = dict(error.trailing_metadata() or ())
        encoded = self.trailers.get("grpc-status-details-bin", b"")
        self.status = status_pb2.Status.FromString(bytes(encoded))
        self.everything = repr(error) + str(self.status) + str(self.trailers)

    def detail(self, kind: type[Message]) -> Any:
        """The detail of this kind; None without one."""
        for packed in self.status.details:
            found = kind()
            if packed.Unpack(found):
                return found
        return None

    @property
    def reason(self) -> str:
        """The reason of our ErrorInfo; empty where the error is not ours."""
        info = self.detail(error_details_pb2.ErrorInfo)
        return info.reason if info is not None and info.domain == "llmgateway" else ""

    @property
    def failure(self) -> errors_pb2.GenerationFailure | None:
        """What is told of the generation."""
        failure: errors_pb2.GenerationFailure | None = self.detail(errors_pb2.GenerationFailure)
        return failure


async def failure_of(awaitable: Any) -> Failed:
    """How a call fails that has to."""
    try:
        await awaitable
    except grpc.aio.AioRpcError as error:
        return Failed(error)
    raise AssertionError("the call ended well")


async def until(condition: Callable[[], bool], timeout: float = 5.0) -> None:
    """Waits for what another task, or another process, is about to do."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - what is awaited knows no event
            await asyncio.sleep(0.002)
