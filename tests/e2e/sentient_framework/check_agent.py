"""GatewayAgent with the framework's own handler, hook and session; a scripted gateway behind it.

Run by tests/e2e/test_sentient_framework.py, in the environment where the framework is.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from sentient_agent_framework.interface.events import ErrorEvent, TextChunkEvent

from llmgateway import AsyncClient, StreamOptions
from llmgateway.sentient.agent import GatewayAgent
from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.sessions import LOST_PROMPT, MemorySessionStore
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1.content_pb2 import ROLE_ASSISTANT, ROLE_SYSTEM, ROLE_USER
from llmgateway.v1.errors_pb2 import GenerationFailure
from llmgateway.v1.usage_pb2 import Usage
from support.scripted_gateway import (
    FINISH,
    HEARTBEAT,
    START,
    Abort,
    Hang,
    ScriptedGateway,
    text,
)
from support.sentient_agent import ID, RESTARTED, Asked, asked_of, events_of, shape

INTERRUPTED = Abort(
    grpc.StatusCode.UNAVAILABLE,
    "STREAM_INTERRUPTED",
    "cut",
    (GenerationFailure(usage=Usage(output_token_count=2)),),
)


def reasoning(piece: str) -> pb.GenerateStreamResponse:
    return pb.GenerateStreamResponse(deltas=[pb.Delta(reasoning=piece)])


def tool_call(number: str, name: str, *arguments: str) -> pb.GenerateStreamResponse:
    first = pb.ToolCallDelta(tool_call_id=number, name=name)
    deltas = [pb.Delta(tool_call=first, part_index=3)]
    deltas += [
        pb.Delta(tool_call=pb.ToolCallDelta(arguments_json=piece), part_index=3)
        for piece in arguments
    ]
    return pb.GenerateStreamResponse(deltas=deltas)


@pytest.fixture
def agent(client: AsyncClient) -> GatewayAgent:
    return GatewayAgent("Assistant", client)


async def test_an_answer_is_one_stream_then_what_it_was(
    gateway: ScriptedGateway, client: AsyncClient
) -> None:
    gateway.script = [
        HEARTBEAT,
        START,
        reasoning("hm"),
        text("Hel", "", part_index=1),
        text("lo", part_index=2),
        tool_call("call-1", "look", '{"at":', "1}"),
        FINISH,
    ]
    agent = GatewayAgent(
        "Assistant", client, model="chat", system="Be brief.", temperature=0.5, seed=7
    )
    events = await events_of(agent)
    assert shape(events) == [
        ("REASONING", "hm"),
        ("REASONING", None),
        ("FINAL_RESPONSE", "Hel"),
        ("FINAL_RESPONSE", "lo"),
        ("FINAL_RESPONSE", None),
        "TOOL_CALL",
        "USAGE",
        "ROUTE",
        "done",
    ]
    call, usage, route = (event.content for event in events[-4:-1])
    assert call == {"tool_call_id": "call-1", "name": "look", "arguments_json": '{"at":1}'}
    assert (usage["input_tokens"], usage["output_tokens"]) == (3, 5)
    assert (route["model"], route["provider"]) == ("demo/small", "demo")
    assert route["finish_reason"] == "stop"
    (request,) = gateway.requests
    assert asked_of(gateway) == [(ROLE_SYSTEM, "Be brief."), (ROLE_USER, "Hi")]
    assert request.input.model == "chat"
    assert (request.input.sampling.temperature, request.input.sampling.seed) == (0.5, 7)
    ids = {"processor_id": "a-processor", "activity_id": ID, "request_id": ID}
    assert request.input.labels == ids
    assert request.stream_options.recovery == pb.RECOVERY_MODE_CONTINUE


async def test_a_part_that_grows_after_a_later_one_has_its_own_stream(
    gateway: ScriptedGateway, agent: GatewayAgent
) -> None:
    parts = [("a", 0), ("b", 1), ("A", 0)]
    gateway.script = [START, *(text(piece, part_index=at) for piece, at in parts), FINISH]
    chunks = [event for event in await events_of(agent) if isinstance(event, TextChunkEvent)]
    first, second = chunks[0].stream_id, chunks[2].stream_id
    assert first != second
    assert [chunk.stream_id for chunk in chunks] == [first, first, second, first, second]


async def test_names_timeout_headers_and_stream_options_are_options(
    gateway: ScriptedGateway, client: AsyncClient
) -> None:
    options = StreamOptions(recovery=pb.RECOVERY_MODE_NONE)
    options.max_coalesce_delay.FromMilliseconds(20)
    agent = GatewayAgent(
        "Assistant",
        client,
        events=EventOptions(text_event_name="text_chunk"),
        stream_options=options,
        metadata={"x-who": "me"},
        timeout=0.2,
    )
    events = await events_of(agent)
    assert shape(events)[0] == ("text_chunk", "Hel")
    assert gateway.metadata["x-who"] == "me"
    assert gateway.requests[0].stream_options == options
    gateway.script = [START, Hang()]
    async with asyncio.timeout(5):
        events = await events_of(agent)
    (error,) = [event for event in events if isinstance(event, ErrorEvent)]
    assert error.content.error_code == 504


async def test_the_chat_goes_on_with_prompts_and_answers(
    gateway: ScriptedGateway, agent: GatewayAgent
) -> None:
    await events_of(agent, "one")
    await events_of(agent, "other", activity="01JBBBBBBBBBBBBBBBBBBBBBBB")
    assert asked_of(gateway) == [(ROLE_USER, "other")]
    await events_of(agent, "two")
    assert asked_of(gateway) == [
        (ROLE_USER, "one"),
        (ROLE_ASSISTANT, "Hello"),
        (ROLE_USER, "two"),
    ]


def answered(*events: Mapping[str, Any]) -> dict[str, Any]:
    """An interaction as Sentient's clients send it."""
    content = {"capability": "assist", "request_payload": {"parts": [{"prompt": "Ping?"}]}}
    asked = {"event": {"chatId": ID, "content": content}}
    return {"request": asked, "responses": [{"event": event} for event in events]}


async def test_a_chat_that_is_not_known_goes_on_from_what_the_client_sent(
    gateway: ScriptedGateway, client: AsyncClient
) -> None:
    common = {"content_type": "chunked.text", "source": "s", "stream_id": "abcdefghij"}
    chunk = {**common, "event_name": "FINAL_RESPONSE"}
    past = [
        answered(
            {"content_type": "atomic.textblock", "event_name": "SEARCH", "source": "s"}
            | {"content": "Searching..."},
            {**chunk, "is_complete": False, "content": "Po"},
            {**chunk, "is_complete": False, "content": "ng!"},
            {**chunk, "is_complete": True, "content": " "},
            {"content_type": "atomic.done", "event_name": "done", "source": "s"},
        )
    ]
    agent = GatewayAgent("Assistant", client, sessions=MemorySessionStore())
    # The framework loses the prompt; should it ever not, this says so.
    before = [(ROLE_USER, LOST_PROMPT), (ROLE_ASSISTANT, "Pong!")]
    await events_of(agent, "one", interactions=past)
    assert asked_of(gateway) == [*before, (ROLE_USER, "one")]
    await events_of(agent, "two", interactions=[*past, *past])
    one = [(ROLE_USER, "one"), (ROLE_ASSISTANT, "Hello")]
    assert asked_of(gateway) == [*before, *one, (ROLE_USER, "two")]


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_RATE_LIMITED", 429),
        (grpc.StatusCode.UNAVAILABLE, "PROVIDER_ERROR", 503),
        (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", 404),
        (grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNAUTHENTICATED", 401),
        (grpc.StatusCode.UNAVAILABLE, "", 503),
    ],
)
async def test_a_refused_call_is_an_error_with_its_http_status(
    code: grpc.StatusCode,
    reason: str,
    status: int,
    gateway: ScriptedGateway,
    client: AsyncClient,
) -> None:
    # Or the channel itself would try again.
    gateway.script = [Abort(code, reason, trailers=(("grpc-retry-pushback-ms", "-1"),))]
    agent = GatewayAgent("Assistant", client)
    error, _ = await events_of(agent, "one")
    assert error.content.error_code == status
    assert error.content.error_message == "it failed"
    assert error.content.details["reason"] == (reason or code.name)
    assert error.content.details["partial"] is False
    gateway.script = [START, text("Hello"), FINISH]
    await events_of(agent, "two")
    assert asked_of(gateway) == [(ROLE_USER, "two")]


async def test_an_interrupted_answer_is_closed_told_and_remembered(
    gateway: ScriptedGateway, agent: GatewayAgent
) -> None:
    gateway.script = [START, text("Hel"), INTERRUPTED]
    events = await events_of(agent, "one")
    assert shape(events) == [
        ("FINAL_RESPONSE", "Hel"),
        ("FINAL_RESPONSE", None),
        "USAGE",
        "error",
        "done",
    ]
    assert events[2].content["output_tokens"] == 2
    error = events[-2].content
    assert (error.error_code, error.error_message) == (503, "cut")
    assert error.details["partial"] is True
    assert error.details["response_id"] == START.start.response_id
    gateway.script = [START, text("Hello"), FINISH]
    await events_of(agent, "go on")
    assert asked_of(gateway) == [
        (ROLE_USER, "one"),
        (ROLE_ASSISTANT, "Hel"),
        (ROLE_USER, "go on"),
    ]


async def test_an_end_without_a_finish_is_an_error(
    gateway: ScriptedGateway, agent: GatewayAgent
) -> None:
    gateway.script = [START, text("Hel")]
    events = await events_of(agent)
    assert shape(events)[-2:] == ["error", "done"]
    assert events[-2].content.error_code == 500


async def test_what_a_restart_makes_void_is_named_and_forgotten(
    gateway: ScriptedGateway, client: AsyncClient
) -> None:
    gateway.script = [START, text("Hel"), RESTARTED, text("Good day"), FINISH]
    options = StreamOptions(recovery=pb.RECOVERY_MODE_RESTART)
    agent = GatewayAgent("Assistant", client, stream_options=options)
    events = await events_of(agent, "one")
    assert shape(events) == [
        ("FINAL_RESPONSE", "Hel"),
        ("FINAL_RESPONSE", None),
        "RESTARTED",
        ("FINAL_RESPONSE", "Good day"),
        ("FINAL_RESPONSE", None),
        "USAGE",
        "ROUTE",
        "done",
    ]
    assert events[2].content["void_stream_ids"] == [events[0].stream_id]
    assert events[3].stream_id != events[0].stream_id
    assert events[-2].content["model"] == "other/large"
    await events_of(agent, "two")
    assert asked_of(gateway)[1] == (ROLE_ASSISTANT, "Good day")


async def test_stopping_it_ends_the_call_and_the_response(
    gateway: ScriptedGateway, agent: GatewayAgent
) -> None:
    gateway.script = [START, text("Hel"), Hang()]
    asked = Asked(agent, "Hi", ID, [])
    await asked.first(TextChunkEvent)
    asked.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked.task
    events = asked.sent()
    assert shape(events) == [("FINAL_RESPONSE", None), "error", "done"]
    assert events[1].content.error_code == 499
    await asyncio.to_thread(gateway.wait_for_calls, 1, alive=0)


async def test_the_first_piece_can_be_sent_before_the_last_one_is_made(
    gateway: ScriptedGateway, agent: GatewayAgent
) -> None:
    """The framework's emit_chunk alone lets nobody else run until the end."""
    gateway.script = [START, text(*"x" * 500), FINISH]
    asked = Asked(agent, "Hi", ID, [])
    await asked.first(TextChunkEvent)
    assert asked.queue.qsize() < 10
    await asked.task
    assert len(asked.sent()) == 500 - 1 + len(["last chunk", "USAGE", "ROUTE", "done"])
