"""`POST /assist` over real sockets, in front of a gateway that follows a script."""

import json
from typing import Any

import pytest

from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.settings import BridgeOptions
from llmgateway.v1 import generation_service_pb2 as pb
from support.bridge import ULID, Bridge, bridge_to, question
from support.scripted_gateway import FINISH, HEARTBEAT, START, ScriptedGateway, text

RECOVERED = pb.GenerateStreamResponse(recovery=pb.Recovery(kind=pb.RECOVERY_KIND_RESTARTED))


async def test_an_answer_has_its_text_its_usage_and_its_end(bridge: Bridge) -> None:
    answer = await bridge.answer()
    assert answer.texts() == ["Hello"]
    assert [name for name, _ in answer.documents] == ["USAGE", "ROUTE"]
    assert answer.errors == []


async def test_the_headers_are_those_that_clients_and_proxies_need(bridge: Bridge) -> None:
    answer = await bridge.ask()
    assert answer.status == 200
    assert answer.headers[0][0] == "date"
    assert answer.headers[1:] == [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("transfer-encoding", "chunked"),
    ]


async def test_each_message_is_one_write(gateway: ScriptedGateway, bridge: Bridge) -> None:
    gateway.script = [START, *(text(word, word) for word in "abc"), FINISH]
    chunks = [chunk async for chunk in (await bridge.ask()).chunks()]
    assert [chunk.count(b"event: ") for chunk in chunks] == [1, 1, 1, 3, 1]
    assert b'"content":"bb"' in chunks[1]
    assert chunks[-1].startswith(b"event: done\n")


async def test_a_heartbeat_is_a_comment(gateway: ScriptedGateway, bridge: Bridge) -> None:
    gateway.script = [HEARTBEAT, START, text("a"), HEARTBEAT, FINISH]
    chunks = [chunk async for chunk in (await bridge.ask()).chunks()]
    assert (chunks[0], chunks[2]) == (b": ping\n\n", b": ping\n\n")


async def test_a_trailing_slash_is_no_redirect(bridge: Bridge) -> None:
    assert (await bridge.answer(target="/assist/")).texts() == ["Hello"]


async def test_one_connection_serves_many_answers(bridge: Bridge) -> None:
    reader, writer = await bridge.connect()
    body = question()
    head = b"POST /assist HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    for _ in range(3):
        writer.write(head % len(body) + body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        await reader.readuntil(b"\r\n0\r\n\r\n")


async def test_the_gateway_gets_history_labels_and_what_the_events_can_show(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    asked = {
        "content": {"capability": "assist", "request_payload": {"parts": [{"prompt": "before"}]}},
        "chatId": ULID,
    }
    answered = {
        "content_type": "atomic.textblock",
        "event_name": "X",
        "source": "s",
        "content": "so",
    }
    past = {"request": {"event": asked}, "responses": [{"event": answered}]}
    body = question("now", processor_id="client-7", interactions=[past])
    await (await bridge.ask(body)).answer()
    request = gateway.requests[0]
    given = request.input
    assert [message.parts[0].text for message in given.messages] == ["before", "so", "now"]
    assert given.labels == {"processor_id": "client-7", "activity_id": ULID, "request_id": ULID}
    assert given.model == ""
    assert not given.HasField("sampling")
    assert not given.output.include_reasoning
    assert request.stream_options.recovery == pb.RECOVERY_MODE_RESTART
    assert request.stream_options.heartbeat_interval.ToSeconds() == 15
    # 26 pieces a second are a flow for the eye.
    assert request.stream_options.max_coalesce_delay.ToMilliseconds() == 38


async def test_a_restart_makes_void_what_came(gateway: ScriptedGateway, bridge: Bridge) -> None:
    gateway.script = [START, text("bad"), RECOVERED, text("good"), FINISH]
    assert (await bridge.answer()).texts() == ["good"]


async def test_options_reach_the_gateway_and_the_events(gateway: ScriptedGateway) -> None:
    options = BridgeOptions(
        model="chat",
        source="llm_provider",
        include_reasoning=True,
        events=EventOptions(text_event_name="text_chunk"),
        coalesce=0.0,
        heartbeat=0.25,
    )
    async with bridge_to(gateway.address, options) as bridge:
        body = await (await bridge.ask(question(processor_id="me"))).body()
    assert b"event: text_chunk\n" in body
    assert body.count(b'"source":"llm_provider"') == 5
    request = gateway.requests[0]
    assert (request.input.model, request.input.output.include_reasoning) == ("chat", True)
    assert request.stream_options.heartbeat_interval.ToMilliseconds() == 250
    assert request.stream_options.max_coalesce_delay.ToMilliseconds() == 0


@pytest.mark.parametrize(
    ("query", "model"),
    [
        ("", "chat"),
        ("?model=", "chat"),
        ("?model=demo%2Fsmall", "demo/small"),
        ("?model=a&model=b", "a"),
        ("?model=%ff", "\ufffd"),
        ("?x=1", "chat"),
    ],
)
async def test_a_request_may_name_its_model(
    gateway: ScriptedGateway, query: str, model: str
) -> None:
    async with bridge_to(gateway.address, BridgeOptions(model="chat")) as bridge:
        await bridge.answer(target=f"/assist{query}")
    assert gateway.requests[0].input.model == model


async def test_what_is_no_request_gets_the_frameworks_words(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    async def refusal(body: bytes, **headers: str) -> Any:
        answer = await bridge.ask(body, **headers)
        assert answer.status == 422
        return (await answer.json())["detail"]

    missing = {"type": "missing", "loc": ["body"], "msg": "Field required", "input": None}
    assert await refusal(b"") == [missing]
    (error,) = await refusal(b'{"query":')
    assert (error["type"], error["loc"]) == ("json_invalid", ["body", 9])
    (error,) = await refusal(json.dumps({"query": {"id": "x", "prompt": "p"}}).encode())
    assert (error["type"], error["loc"]) == ("ulid_format", ["body", "query", "id"])
    (error,) = await refusal(question(), content_type="text/plain")
    assert error["type"] == "model_attributes_type"
    assert gateway.requests == []


async def test_other_paths_and_methods_get_the_frameworks_words(bridge: Bridge) -> None:
    wrong_method = await bridge.get("/assist")
    assert (wrong_method.status, wrong_method.header("allow")) == (405, "POST")
    assert await wrong_method.body() == b'{"detail":"Method Not Allowed"}'
    nowhere = await bridge.get("/nowhere")
    assert (nowhere.status, await nowhere.body()) == (404, b'{"detail":"Not Found"}')


async def test_a_large_body_is_refused_before_it_is_parsed(gateway: ScriptedGateway) -> None:
    body = question("x" * 1000)
    async with bridge_to(gateway.address, BridgeOptions(max_body=len(body))) as bridge:
        fits = await bridge.ask(body)
        assert fits.status == 200
        # The status comes before the gateway has been asked.
        await fits.body()
        large = await bridge.ask(body + b" ")
        assert large.status == 413
        assert await large.json() == {"detail": f"The body is larger than {len(body)} bytes"}
        # Only announced: not one byte of it was sent.
        announced = await bridge.ask(b"", content_length="9999999999")
        assert announced.status == 413
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(body), body) for _ in range(2)) + b"0\r\n\r\n"
        chunked = await bridge.ask(pieces, transfer_encoding="chunked")
        assert chunked.status == 413
    assert len(gateway.requests) == 1


async def test_a_body_that_never_comes_whole_asks_nothing(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    reader, writer = await bridge.connect()
    writer.write(b"POST /assist HTTP/1.1\r\ncontent-length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    assert await reader.read() == b""
    assert (await bridge.answer()).texts() == ["Hello"]
    assert len(gateway.requests) == 1
