"""What each thing of the gateway's stream becomes."""

from typing import Any

import grpc
import pytest

from llmgateway import (
    GatewayError,
    InvalidRequestError,
    ProviderError,
    RateLimitError,
    Violation,
)
from llmgateway._errors import Failure
from llmgateway.sentient.events import EventOptions, EventStream
from llmgateway.sentient.status_codes import http_status
from llmgateway.v1.errors_pb2 import AttemptFailure
from llmgateway.v1.generation_service_pb2 import (
    FINISH_REASON_STOP,
    FINISH_REASON_TOOL_CALLS,
    RECOVERY_KIND_CONTINUED,
    RECOVERY_KIND_RESTARTED,
    Delta,
    Finish,
    GenerateStreamResponse,
    Recovery,
    StreamStart,
    ToolCallDelta,
)
from llmgateway.v1.usage_pb2 import CACHE_STATUS_MISS, Route, Usage
from support.sentient_wire import PING, Answer, StrictReader, WireEvent, read_frames

FAR = 2**48
ROUTE = Route(provider="demo", provider_model="small", attempt_count=1)
START = GenerateStreamResponse(
    start=StreamStart(response_id="01JAAAAAAAAAAAAAAAAAAAAAAA", model="demo/small", route=ROUTE)
)
USAGE = Usage(input_token_count=3, output_token_count=5)
FINISH = GenerateStreamResponse(usage=USAGE, finish=Finish(reason=FINISH_REASON_STOP))


def deltas(*pieces: Delta) -> GenerateStreamResponse:
    return GenerateStreamResponse(deltas=pieces)


def text(piece: str, part: int = 0) -> Delta:
    return Delta(text=piece, part_index=part)


def thought(piece: str, part: int = 0) -> Delta:
    return Delta(reasoning=piece, part_index=part)


def recovery(kind: Any) -> GenerateStreamResponse:
    cause = AttemptFailure(provider="demo", model="small", http_status=502)
    route = Route(provider="other", provider_model="large", attempt_count=2)
    return GenerateStreamResponse(recovery=Recovery(kind=kind, route=route, cause=cause))


def events(stream: EventStream, *messages: GenerateStreamResponse) -> list[WireEvent]:
    return [event for message in messages for event in read_frames(stream.feed(message))]


def answer(*messages: GenerateStreamResponse, error: GatewayError | None = None) -> Answer:
    stream, reader = EventStream(source="me"), StrictReader()
    for message in messages:
        reader.feed(stream.feed(message), FAR)
    reader.feed(stream.fail(error) if error else stream.finish(), FAR)
    return reader.end()


def told(answer: Answer) -> dict[str, dict[str, Any]]:
    return dict(answer.documents)


def failed(code: grpc.StatusCode, **more: Any) -> GatewayError:
    return ProviderError(Failure(code=code, message="it failed", **more))


def test_the_deltas_of_a_message_are_one_chunk() -> None:
    stream = EventStream(source="me")
    (chunk,) = events(stream, START, deltas(*(text(f"{n} ") for n in range(16))))
    assert chunk.content == "".join(f"{n} " for n in range(16))
    assert chunk.data["source"] == "me"
    assert chunk.metadata == {"model": "demo/small", "is_first_chunk": True}


def test_the_last_chunk_tells_tokens_and_why_it_ended() -> None:
    got = answer(START, deltas(text("Hel")), deltas(text("lo")), FINISH)
    assert got.texts() == ["Hello"]
    assert list(got.endings.values()) == [
        {"model": "demo/small", "tokens": 5, "finish_reason": "stop"}
    ]


def test_deltas_may_come_with_the_start_and_with_the_finish() -> None:
    first = GenerateStreamResponse(start=START.start, deltas=[text("Hel")])
    last = GenerateStreamResponse(deltas=[text("lo")], finish=FINISH.finish)
    assert answer(first, last).texts() == ["Hello"]


def test_a_heartbeat_is_a_comment_and_what_shows_nothing_is_nothing() -> None:
    stream = EventStream(source="me")
    assert stream.feed(GenerateStreamResponse()) == b": ping\n\n"
    assert stream.feed(START) == b""
    assert stream.feed(deltas(text(""))) == b""
    assert stream.feed(GenerateStreamResponse(usage=USAGE)) == b""
    assert stream.feed(deltas(Delta(part_index=3))) == b""
    assert [event.kind for event in events(stream, GenerateStreamResponse())] == [PING]


def test_reasoning_has_its_own_stream_closed_when_text_begins() -> None:
    stream = EventStream(source="me", options=EventOptions(reasoning_event_name="THINKING"))
    got = events(stream, START, deltas(thought("Hm"), thought("m")), deltas(text("Yes", 1)))
    assert [(e.name, e.content, e.is_complete) for e in got] == [
        ("THINKING", "Hmm", False),
        ("THINKING", " ", True),
        ("FINAL_RESPONSE", "Yes", False),
    ]


def test_text_goes_on_in_its_stream_after_it_was_interrupted_by_a_thought() -> None:
    got = answer(
        START, deltas(text("One")), deltas(thought("Hm", 1)), deltas(text(" two", 2)), FINISH
    )
    assert got.texts() == ["One two"]
    assert got.texts("REASONING") == ["Hm"]


def test_an_overtaken_part_goes_on_in_a_stream_of_its_own() -> None:
    late = [deltas(text(" late", 0)), deltas(text(" two", 1)), deltas(text("r", 0))]
    got = answer(START, deltas(text("One", 0)), deltas(text(" and", 1)), *late, FINISH)
    assert got.texts() == ["One and two", " later"]
    assert [ending.get("tokens") for ending in got.endings.values()] == [5, None]


def test_names_and_source_of_the_original_architecture_are_options() -> None:
    options = EventOptions(text_event_name="text_chunk")
    stream = EventStream(source="llm_provider", options=options)
    (chunk,) = events(stream, START, deltas(text("Hi")))
    assert (chunk.name, chunk.data["source"]) == ("text_chunk", "llm_provider")


@pytest.mark.parametrize("name", ["", " ", "A\nB", "A\rB", "A\x85B", "A\u2028B", "\x00", " A"])
def test_a_name_that_would_break_the_wire_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        EventOptions(text_event_name=name)
    with pytest.raises(ValueError, match="not a name"):
        EventOptions(reasoning_event_name=name)


def test_a_source_is_never_empty_and_may_be_any_text() -> None:
    (chunk,) = events(EventStream(source=""), deltas(text("Hi")))
    assert chunk.data["source"] == "llmgateway"
    odd = 'a"b\n\u2028\ud83d\ude00 \ud800'
    (chunk,) = events(EventStream(source=odd), deltas(text("Hi")))
    assert chunk.data["source"] == 'a"b\n\u2028\U0001f600 \ufffd'


def test_tool_calls_come_complete_then_usage_and_route() -> None:
    def call(part: int, **fields: str) -> Delta:
        return Delta(tool_call=ToolCallDelta(**fields), part_index=part)

    used = Usage(
        input_token_count=30, output_token_count=20, cached_input_token_count=10, cost_nano_usd=1500
    )
    finish = Finish(reason=FINISH_REASON_TOOL_CALLS, provider_reason="tool_calls")
    finish.total_duration.FromMilliseconds(1500)
    begun = StreamStart(response_id="r", model="demo/small", route=ROUTE)
    begun.route.cache_status = CACHE_STATUS_MISS
    begun.route.time_to_first_token.FromMilliseconds(250)
    got = answer(
        GenerateStreamResponse(start=begun),
        deltas(call(0, tool_call_id="a", name="look"), call(1, tool_call_id="b", name="wait")),
        deltas(call(0, arguments_json='{"at":'), call(0, arguments_json="1}")),
        GenerateStreamResponse(usage=used, finish=finish),
    )
    assert got.documents == [
        ("TOOL_CALL", {"tool_call_id": "a", "name": "look", "arguments_json": '{"at":1}'}),
        ("TOOL_CALL", {"tool_call_id": "b", "name": "wait", "arguments_json": "{}"}),
        (
            "USAGE",
            {
                "input_tokens": 30,
                "output_tokens": 20,
                "cached_input_tokens": 10,
                "cache_write_input_tokens": 0,
                "reasoning_tokens": 0,
                "is_estimated": False,
                "cost_usd": 1.5e-06,
            },
        ),
        (
            "ROUTE",
            {
                "response_id": "r",
                "model": "demo/small",
                "provider": "demo",
                "provider_model": "small",
                "attempts": 1,
                "cache": "miss",
                "finish_reason": "tool_calls",
                "provider_finish_reason": "tool_calls",
                "time_to_first_token_seconds": 0.25,
                "total_seconds": 1.5,
            },
        ),
    ]
    assert not got.streams


def test_unknown_numbers_of_a_newer_server_are_read() -> None:
    finish = Finish(reason=99)  # type: ignore[arg-type]
    route = Route(cache_status=99)  # type: ignore[arg-type]
    got = answer(
        GenerateStreamResponse(start=StreamStart(model="m", route=route)),
        GenerateStreamResponse(finish=finish),
    )
    assert told(got)["ROUTE"]["finish_reason"] == "other"
    assert told(got)["ROUTE"]["cache"] == "unspecified"


def test_a_continuation_is_invisible_but_for_the_route() -> None:
    got = answer(
        START,
        deltas(text("Hel")),
        recovery(RECOVERY_KIND_CONTINUED),
        deltas(text("lo")),
        FINISH,
    )
    assert got.texts() == ["Hello"]
    assert [name for name, _ in got.documents] == ["USAGE", "ROUTE"]
    assert told(got)["ROUTE"]["provider"] == "other"


def test_a_restart_voids_the_streams_and_begins_a_new_one() -> None:
    restart = recovery(RECOVERY_KIND_RESTARTED)
    restart.deltas.append(text("Bonjour"))  # the recovery applies before them
    got = answer(START, deltas(thought("Hm")), deltas(text("Hel", 1)), restart, FINISH)
    assert ["".join(pieces) for pieces in got.streams.values()] == ["Hm", "Hel", "Bonjour"]
    thinking, void, new = got.streams
    assert told(got)["RESTARTED"] == {
        "void_stream_ids": [thinking, void],
        "failed_provider": "demo",
        "failed_model": "small",
        "provider": "other",
        "provider_model": "large",
        "http_status": 502,
    }
    assert got.endings[void]["finish_reason"] == "restarted"
    assert got.endings[new] == {"model": "other/large", "tokens": 5, "finish_reason": "stop"}
    assert got.texts() == ["Bonjour"]


def test_a_restart_before_anything_was_shown_is_not_told() -> None:
    got = answer(START, recovery(RECOVERY_KIND_RESTARTED), deltas(text("Hi")), FINISH)
    assert got.texts() == ["Hi"]
    assert "RESTARTED" not in told(got)


def test_each_restart_voids_what_came_since_the_one_before() -> None:
    restart = recovery(RECOVERY_KIND_RESTARTED)
    got = answer(
        START,
        deltas(text("One")),
        restart,
        deltas(text("Two")),
        restart,
        error=failed(grpc.StatusCode.UNAVAILABLE),
    )
    voids = [content["void_stream_ids"] for name, content in got.documents if name == "RESTARTED"]
    assert voids == [[stream] for stream in got.streams]
    assert got.errors[0]["details"]["partial"] is False


def test_a_failure_closes_tells_and_ends() -> None:
    error = failed(
        grpc.StatusCode.UNAVAILABLE,
        reason="STREAM_INTERRUPTED",
        retry_after=1.5,
        usage=USAGE,
        request_id="q",
        attempts=(AttemptFailure(provider="demo", model="small", http_status=502),),
        metadata={"limit": "8"},
    )
    got = answer(START, deltas(text("Hel")), error=error)
    assert got.texts() == ["Hel"]
    assert [ending["finish_reason"] for ending in got.endings.values()] == ["error"]
    assert [name for name, _ in got.documents] == ["USAGE"]
    assert got.errors == [
        {
            "error_message": "it failed",
            "error_code": 503,
            "details": {
                "limit": "8",
                "reason": "STREAM_INTERRUPTED",
                "partial": True,
                "retry_after": 1.5,
                "response_id": "01JAAAAAAAAAAAAAAAAAAAAAAA",
                "request_id": "q",
                "attempts": ["demo/small: 502"],
            },
        }
    ]


def test_a_failure_before_anything_came_has_just_the_error() -> None:
    error = InvalidRequestError(
        Failure(
            code=grpc.StatusCode.INVALID_ARGUMENT,
            message="",  # the TypeScript client fails on an empty one
            violations=(Violation("input.messages[0]", "is wrong"),),
        )
    )
    got = answer(error=error)
    assert got.errors == [
        {
            "error_message": "INVALID_ARGUMENT",
            "error_code": 400,
            "details": {
                "reason": "INVALID_ARGUMENT",
                "partial": False,
                "violations": ["input.messages[0]: is wrong"],
            },
        }
    ]


def test_a_half_made_tool_call_is_never_told() -> None:
    call = Delta(tool_call=ToolCallDelta(tool_call_id="a", name="rm", arguments_json='{"path":"/'))
    got = answer(START, deltas(call), error=failed(grpc.StatusCode.UNAVAILABLE))
    assert not got.documents


def test_a_stream_without_its_finish_is_cut_off() -> None:
    got = answer(START, deltas(text("Hel")))
    assert got.errors[0]["error_code"] == 500
    assert got.errors[0]["details"]["reason"] == "DATA_LOSS"
    assert got.texts() == ["Hel"]


def test_nothing_comes_after_the_end() -> None:
    stream = EventStream(source="me")
    stream.feed(START)
    stream.feed(FINISH)
    assert stream.feed(deltas(text("late"))) == b""
    assert stream.feed(GenerateStreamResponse()) == b""
    assert stream.finish()
    assert stream.finish() == b""
    assert stream.fail(failed(grpc.StatusCode.INTERNAL)) == b""
    assert stream.feed(GenerateStreamResponse()) == b""


def test_a_failure_after_the_finish_still_ends_once() -> None:
    got = answer(START, deltas(text("Hi")), FINISH, error=failed(grpc.StatusCode.CANCELLED))
    assert [name for name, _ in got.documents] == ["USAGE", "ROUTE"]
    assert got.errors[0]["error_code"] == 499


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_every_code_has_an_http_status(code: grpc.StatusCode) -> None:
    assert (http_status(code) < 300) is (code is grpc.StatusCode.OK)


def test_a_rate_limit_is_429() -> None:
    error = RateLimitError(Failure(code=grpc.StatusCode.RESOURCE_EXHAUSTED, message="slowly"))
    assert answer(error=error).errors[0]["error_code"] == 429
