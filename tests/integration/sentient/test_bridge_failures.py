"""However a call fails, its client gets status 200, an `error` event and `done`."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from support.bridge import Bridge, bridge_to
from support.ports import closed_port
from support.scripted_gateway import START, Abort, ScriptedGateway, text


@pytest.mark.parametrize("before", [[], [START]])
async def test_a_failure_before_any_text_is_an_event(
    gateway: ScriptedGateway, bridge: Bridge, before: list[object]
) -> None:
    retry = RetryInfo(retry_delay=Duration(seconds=3))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    failure = Abort(code, "PROVIDER_RATE_LIMITED", "slow down", details=(retry,))
    gateway.script = [*before, failure]  # type: ignore[list-item]
    answer = await bridge.answer()
    (error,) = answer.errors
    assert (error["error_code"], error["error_message"]) == (429, "slow down")
    assert error["details"]["reason"] == "PROVIDER_RATE_LIMITED"
    assert error["details"]["retry_after"] == 3
    assert error["details"]["partial"] is False
    assert answer.streams == {}


async def test_a_failure_after_text_closes_what_is_open(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    code = grpc.StatusCode.UNAVAILABLE
    gateway.script = [START, text("Hel"), Abort(code, "STREAM_INTERRUPTED", "cut")]
    answer = await bridge.answer()
    assert answer.texts() == ["Hel"]
    assert [ending["finish_reason"] for ending in answer.endings.values()] == ["error"]
    (error,) = answer.errors
    assert (error["error_code"], error["details"]["partial"]) == (503, True)


async def test_a_stream_without_its_finish_is_an_error(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    gateway.script = [START, text("Hel")]
    answer = await bridge.answer()
    assert answer.texts() == ["Hel"]
    assert [error["error_code"] for error in answer.errors] == [500]


async def test_a_wrong_token_is_an_event(gateway: ScriptedGateway, bridge: Bridge) -> None:
    code = grpc.StatusCode.UNAUTHENTICATED
    gateway.script = [Abort(code, "CALLER_UNAUTHENTICATED", "no such key")]
    assert [error["error_code"] for error in (await bridge.answer()).errors] == [401]


async def test_without_a_gateway_there_is_an_answer_all_the_same() -> None:
    with closed_port() as port:
        async with bridge_to(f"127.0.0.1:{port}") as bridge:
            (error,) = (await bridge.answer()).errors
    assert error["error_code"] == 503
    assert error["details"]["reason"] == "UNAVAILABLE"


async def test_a_gateway_that_stops_ends_the_answer() -> None:
    with ScriptedGateway() as stopping:

        def stop() -> None:
            stopping._server.stop(0)

        stopping.script = [START, text("Hel"), stop]
        async with bridge_to(stopping.address) as bridge:
            answer = await bridge.answer()
    assert answer.texts() == ["Hel"]
    assert len(answer.errors) == 1
