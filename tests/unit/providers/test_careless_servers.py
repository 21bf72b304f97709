"""What servers get wrong around an answer that is good all the same; synthetic, in all dialects.

Each case is a stream and a whole body of every dialect with one thing wrong in it: JSON that is
none to the letter, a null or another type where an object should be, counts that are none.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.events import ProviderEvent, StreamEvent, TextDelta, ToolCallDelta
from llmgateway_server.providers.anthropic import stream as anthropic
from llmgateway_server.providers.dialect import Decoder
from llmgateway_server.providers.gemini import stream as gemini
from llmgateway_server.providers.openai_chat import stream as openai_chat
from llmgateway_server.providers.openai_responses import stream as openai_responses
from support import chat_stream, gemini_stream, message_stream, responses_stream

Json = dict[str, Any]


class Wire(NamedTuple):
    """How one dialect says "Hi", with usage and the whole event or body open to a mistake."""

    decoder: Callable[[], Decoder]
    decode_body: Callable[[bytes], list[ProviderEvent]]
    stream: Callable[[str, Any], bytes]
    """A stream that says this text and reports this usage."""
    body: Callable[[str, Any], Json]
    counted: Json
    """A usage of nine tokens of input and four of output."""


def _chat_stream(text: str, usage: Any) -> bytes:
    last = {"choices": [], "usage": usage}
    return chat_stream.sse(chat_stream.text(text), chat_stream.STOP, last) + chat_stream.DONE


def _chat_body(text: str, usage: Any) -> Json:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": usage}


def _anthropic_stream(text: str, usage: Any) -> bytes:
    start = {"type": "message_start", "message": {"content": [], "usage": usage}}
    return message_stream.sse(
        start, *message_stream.text_block(0, text), *message_stream.message_end("stop_sequence")
    )


def _anthropic_body(text: str, usage: Any) -> Json:
    content = [{"type": "text", "text": text}]
    return {"type": "message", "content": content, "stop_reason": "end_turn", "usage": usage}


def _gemini_body(text: str, usage: Any) -> Json:
    return gemini_stream.chunk(gemini_stream.text(text), finish="STOP", usageMetadata=usage)


def _responses_body(text: str, usage: Any) -> Json:
    return responses_stream.response(responses_stream.message(text), usage=usage)


WIRES = {
    "openai_chat": Wire(
        openai_chat.ChatStream,
        openai_chat.decode_body,
        _chat_stream,
        _chat_body,
        {"prompt_tokens": 9, "completion_tokens": 4},
    ),
    "openai_responses": Wire(
        openai_responses.ResponseStream,
        openai_responses.decode_body,
        lambda text, usage: responses_stream.sse(
            responses_stream.text(text), responses_stream.completed(usage=usage)
        ),
        _responses_body,
        {"input_tokens": 9, "output_tokens": 4},
    ),
    "anthropic": Wire(
        anthropic.MessageStream,
        anthropic.decode_body,
        _anthropic_stream,
        _anthropic_body,
        {"input_tokens": 9, "output_tokens": 4},
    ),
    "gemini": Wire(
        gemini.GeminiStream,
        gemini.decode_body,
        lambda text, usage: gemini_stream.sse(_gemini_body(text, usage)),
        _gemini_body,
        {"promptTokenCount": 9, "candidatesTokenCount": 4},
    ),
}
COMPLETED = responses_stream.COMPLETED
COUNTED = Usage(input_token_count=9, output_token_count=4)
NO_OBJECTS: list[Any] = [None, [], "", "many", 7, True, {}, {"x": "9"}]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


def streamed(wire: Wire, data: bytes) -> list[StreamEvent]:
    decoder = wire.decoder()
    events = [*decoder.feed(data), *decoder.end()]
    assert decoder.failure is None
    return merge(events)


def said(events: list[StreamEvent]) -> str:
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.STOP
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def usages(events: list[StreamEvent]) -> list[StreamEvent]:
    return [event for event in events if isinstance(event, Usage)]


def answers(wire: Wire, text: str, usage: Any) -> list[list[StreamEvent]]:
    body = json.dumps(wire.body(text, usage)).encode()
    return [streamed(wire, wire.stream(text, usage)), [*wire.decode_body(body)]]


@pytest.mark.parametrize("usage", NO_OBJECTS, ids=repr)
def test_an_answer_is_good_without_its_counts(wire: Wire, usage: Any) -> None:
    for events in answers(wire, "Hi", usage):
        assert said(events) == "Hi"
        assert usages(events) == []


@pytest.mark.parametrize("details", NO_OBJECTS, ids=repr)
def test_counts_are_good_without_their_details(wire: Wire, details: Any) -> None:
    names = [
        *("prompt_tokens_details", "completion_tokens_details", "x_groq"),
        *("input_tokens_details", "output_tokens_details", "promptTokensDetails"),
    ]
    for events in answers(wire, "Hi", {**wire.counted, **dict.fromkeys(names, details)}):
        assert usages(events) == [COUNTED]


def test_a_count_that_is_none_leaves_the_others(wire: Wire) -> None:
    first, second = wire.counted
    for events in answers(wire, "Hi", {first: "nine", second: 4}):
        assert usages(events) == [Usage(output_token_count=4)]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_read_over(wire: Wire, number: str) -> None:
    unread = b', "logprobs": {"x": [%b]}' % number.encode()
    stream = wire.stream("Hi", wire.counted).replace(b'"Hi"', b'"Hi"' + unread, 1)
    assert said(streamed(wire, stream)) == "Hi"
    body = json.dumps(wire.body("Hi", wire.counted)).encode()
    assert said([*wire.decode_body(body[:-1] + unread + b"}")]) == "Hi"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb"\ud83d", "\ufffd"),
        (rb"a\ude00b", "a\ufffdb"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud83d", r"\ud83d"),
        (b"tab\there", "tab\there"),
    ],
)
def test_half_a_character_is_no_reason_to_fail(wire: Wire, written: bytes, text: str) -> None:
    stream = wire.stream("Hi", wire.counted).replace(b'"Hi"', b'"%b"' % written)
    assert said(streamed(wire, stream)) == text


def test_what_is_null_between_others_is_nothing() -> None:
    """Synthetic: holes in the lists that answers are made of."""
    chat = chat_stream.answered(
        {"choices": [None]},
        {"choices": [None, chat_stream.text("Hi")["choices"][0]]},
        chat_stream.calls(None, chat_stream.piece(0, "a", "add", "{}")),  # type: ignore[arg-type]
        chat_stream.chunk({"reasoning_details": {}}, "tool_calls"),
    )
    assert said_and_called(chat) == ("Hi", ["add"])
    google = gemini_stream.answered(
        {"candidates": [None]},
        gemini_stream.chunk(None, gemini_stream.text("Hi"), finish="STOP"),  # type: ignore[arg-type]
    )
    assert said_and_called(google) == ("Hi", [])
    responses = openai_responses.decode_body(
        json.dumps(
            responses_stream.response(None, responses_stream.message("Hi"))  # type: ignore[arg-type]
        ).encode()
    )
    assert said_and_called(responses) == ("Hi", [])


def said_and_called(events: list[ProviderEvent]) -> tuple[str, list[str]]:
    assert isinstance(events[-1], Finish)
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, [name for name in (getattr(event, "name", "") for event in events) if name]


def test_an_empty_delta_may_be_a_list() -> None:
    last = {"choices": [{"index": 0, "delta": [], "finish_reason": "stop"}]}
    assert said_and_called(chat_stream.answered(chat_stream.text("Hi"), last)) == ("Hi", [])


def test_an_event_of_responses_may_be_told_by_its_name_alone() -> None:
    body = json.dumps({"response": responses_stream.response(responses_stream.message("Hi"))})
    events, failure = responses_stream.fed(f"event: response.completed\ndata: {body}\n\n".encode())
    assert failure is None
    assert said_and_called(events) == ("Hi", [])


@pytest.mark.parametrize("kind", ["response.output_item.added", "response.output_item.done"])
def test_an_item_that_is_none_is_nothing(kind: str) -> None:
    events = responses_stream.answered(
        {"type": kind, "item": None}, {"type": kind}, responses_stream.text("Hi"), COMPLETED
    )
    assert said_and_called(events) == ("Hi", [])


def test_a_last_event_of_responses_may_lack_its_response() -> None:
    for response in ({}, {"response": None}):
        last = {"type": "response.completed", **response}
        events = responses_stream.answered(responses_stream.text("Hi"), last)
        assert events == [TextDelta(0, "Hi"), Finish(FinishReason.STOP, "completed")]


@pytest.mark.parametrize("empty", [None, {}])
def test_googles_counts_are_not_taken_back_by_an_event_without_any(empty: Any) -> None:
    events = gemini_stream.answered(
        gemini_stream.chunk(gemini_stream.text("Hi"), usageMetadata=gemini_stream.USAGE),
        gemini_stream.chunk(finish="STOP", usageMetadata=empty),
    )
    assert events[-2] == COUNTED


def arguments_of(events: list[ProviderEvent]) -> str:
    assert isinstance(events[-1], Finish)
    assert events[-1].reason is FinishReason.TOOL_CALLS
    return "".join(event.arguments_json for event in events if isinstance(event, ToolCallDelta))


@pytest.mark.parametrize("empty", [None, "", [], {}], ids=repr)
def test_no_arguments_are_an_empty_object_however_they_are_written(empty: Any) -> None:
    call = {"index": 0, "id": "a", "function": {"name": "add", "arguments": empty}}
    assert arguments_of(chat_stream.answered(chat_stream.calls(call), chat_stream.STOP)) == "{}"
    last = responses_stream.completed(responses_stream.call("add", empty))
    assert arguments_of(responses_stream.answered(last)) == "{}"
    block = message_stream.block_start(0, "tool_use", id="a", name="add", input=empty)
    events, failure = message_stream.fed(
        message_stream.sse(
            message_stream.message_start(), block, *message_stream.message_end("tool_use")
        )
    )
    assert failure is None
    assert arguments_of(events) == "{}"
    if empty != "":
        part = {"functionCall": {"name": "add", "args": empty}}
        assert (
            arguments_of(gemini_stream.answered(gemini_stream.chunk(part, finish="STOP"))) == "{}"
        )


def test_moonshot_counts_in_the_choice() -> None:
    choice = {"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 9}}
    events = chat_stream.answered(chat_stream.text("Hi"), {"choices": [choice]})
    assert events[-2] == Usage(input_token_count=9)
