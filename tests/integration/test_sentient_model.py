"""GatewayModel does what the examples' ModelProvider does, and ends what is left early."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import grpc
import pytest
import pytest_asyncio

from llmgateway import AsyncClient, InterruptedStreamError
from llmgateway.sentient.model import GatewayModel
from llmgateway.v1.generation_service_pb2 import RECOVERY_MODE_CONTINUE
from support.scripted_gateway import (
    FINISH,
    HEARTBEAT,
    START,
    Abort,
    Hang,
    ScriptedGateway,
    text,
)


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        yield scripted


@pytest_asyncio.fixture
async def model(gateway: ScriptedGateway) -> AsyncIterator[GatewayModel]:
    async with AsyncClient(gateway.address, timeout=10) as client:
        yield GatewayModel(client, model="chat", system="Be brief.", temperature=0.0)


async def test_a_query_is_answered_whole_or_piece_by_piece(
    gateway: ScriptedGateway, model: GatewayModel
) -> None:
    gateway.script = [HEARTBEAT, START, text("Hel", ""), HEARTBEAT, text("lo"), FINISH]
    assert await model.query("Hi") == "Hello"
    assert [piece async for piece in model.query_stream(query="Hi")] == ["Hel", "lo"]
    for request in gateway.requests:
        assert request.input.model == "chat"
        assert request.input.sampling.temperature == 0.0
        assert request.input.sampling.HasField("temperature")
        assert [message.parts[0].text for message in request.input.messages] == ["Be brief.", "Hi"]
    assert gateway.requests[1].stream_options.recovery == RECOVERY_MODE_CONTINUE


async def test_leaving_a_stream_ends_the_call(
    gateway: ScriptedGateway, model: GatewayModel
) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    async with aclosing(model.query_stream("Hi")) as pieces:
        assert await anext(pieces) == "Hel"
    gateway.wait_for_calls(1, alive=0)


async def test_a_failure_is_the_clients(gateway: ScriptedGateway, model: GatewayModel) -> None:
    failed = Abort(grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")
    gateway.script = [START, text("Hel"), failed]
    pieces = model.query_stream("Hi")
    assert await anext(pieces) == "Hel"
    with pytest.raises(InterruptedStreamError):
        await anext(pieces)
