"""The gemini dialect against recorded answers and what Google's own SDK makes of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.content import (
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.gemini import DIALECT, Gemini, GeminiOptions
from llmgateway_server.providers.gemini.stream import GeminiStream
from support.recordings import (
    PROVIDER,
    Case,
    Outcome,
    cuts_of,
    decoded_by,
    outcome_by,
    parts_of,
    recordings,
)
from support.replays import KEY, QUESTION, provider_over, received, survived
from support.upstream import Conn

# What fails: the reason, the code, and the wait that the body asks for.
FAILURES = {
    # A bad key with status 400: it is ours, so the caller's request is not to blame.
    "gemini/error-400-key": (Reason.PROVIDER_CREDENTIALS_REJECTED, "API_KEY_INVALID", None),
    "gemini/error-429-quota": (Reason.PROVIDER_RATE_LIMITED, "RESOURCE_EXHAUSTED", 48.0),
}
# The SDK's words and ours; where functions are called Google says STOP, and we say so.
FINISHES = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    "SAFETY": FinishReason.CONTENT_FILTER,
}
# What we read of the one answer of which the SDK says nothing.
JSON_ARRAY = "gemini/stream-json-array-no-sse"


class Said(NamedTuple):
    """What an answer says, in the SDK's terms: texts, thoughts, calls and signatures."""

    text: str
    thought: str
    calls: list[dict[str, Any]]
    signature_count: int


SPOKEN = Gemini(PROVIDER, "https://g.example", GeminiOptions())
CASES = recordings("gemini")
STREAMS = [name for name, case in CASES.items() if case.is_stream]
ANSWERS = [name for name in CASES if name not in FAILURES]
COMPARED = [name for name in ANSWERS if name != JSON_ARRAY]


def decoded(pieces: Iterable[bytes]) -> Outcome:
    return decoded_by(GeminiStream(), pieces)


def outcome(case: Case) -> Outcome:
    return outcome_by(SPOKEN, case)


def said(parts: Sequence[Part]) -> Said:
    reasoning = [part for part in parts if isinstance(part, ReasoningPart)]
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    return Said(
        "".join(part.text for part in parts if isinstance(part, TextPart)),
        "".join(part.text for part in reasoning),
        [{"args": json.loads(call.arguments_json), "name": call.name} for call in calls],
        sum(bool(part.signature) for part in reasoning),
    )


def sdk_said(view: Mapping[str, Any]) -> Said:
    if "part_kinds" in view:
        signed = sum("thought_signature" in kinds for kinds in view["part_kinds"])
        return Said(view["text"], view["thought"], view["function_calls"], signed)
    parts = view["parts"]
    return Said(
        "".join(part.get("text", "") for part in parts if not part.get("thought")),
        "".join(part.get("text", "") for part in parts if part.get("thought")),
        [part["function_call"] for part in parts if "function_call" in part],
        sum("thought_signature" in part for part in parts),
    )


def expected_usage(usage: Mapping[str, Any]) -> Usage:
    """The SDK's numbers in our convention: output includes what was thought."""
    thoughts = usage.get("thoughts_token_count", 0)
    return Usage(
        input_token_count=usage["prompt_token_count"],
        output_token_count=usage.get("candidates_token_count", 0) + thoughts,
        cached_input_token_count=usage.get("cached_content_token_count", 0),
        reasoning_token_count=thoughts,
    )


def test_every_recording_is_here() -> None:
    assert len(CASES) == 17
    assert len(STREAMS) == 9
    assert set(FAILURES) <= set(CASES)


@pytest.mark.parametrize("name", COMPARED)
def test_an_answer_says_what_the_sdk_reads(name: str) -> None:
    case = CASES[name]
    events, failure, _ = outcome(case)
    assert failure is None
    assert said(parts_of(events)) == sdk_said(case.sdk)


@pytest.mark.parametrize("name", COMPARED)
def test_an_answer_finishes_last_and_as_the_sdk_says(name: str) -> None:
    case = CASES[name]
    *before, finish = outcome(case).events
    assert not any(isinstance(event, Finish) for event in before)
    word = case.sdk["finish_reason"]
    reason = FINISHES[word]
    if sdk_said(case.sdk).calls:
        reason = FinishReason.TOOL_CALLS
    assert finish == Finish(reason, word)


@pytest.mark.parametrize("name", COMPARED)
def test_usage_is_the_sdks_in_our_convention(name: str) -> None:
    case = CASES[name]
    events, _, usage = outcome(case)
    expected = expected_usage(case.sdk["usage"])
    assert usage == expected
    assert events[-2] == expected
    total = expected.input_token_count + expected.output_token_count
    assert total == case.sdk["usage"]["total_token_count"]


def test_a_stream_without_sse_is_a_list_of_chunks() -> None:
    events, _, usage = outcome(CASES[JSON_ARRAY])
    text, thought, calls, signature_count = said(parts_of(events))
    assert text == "Scoop"
    assert thought.startswith("**Considering the Constraint**")
    assert (calls, signature_count) == ([], 1)
    assert usage == Usage(input_token_count=11, output_token_count=293, reasoning_token_count=291)
    assert events[-1] == Finish(FinishReason.STOP, "STOP")


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_has_its_reason_code_and_wait(name: str) -> None:
    failure = outcome(CASES[name]).failure
    assert failure is not None
    assert (failure.reason, failure.code, failure.retry_after) == FAILURES[name]
    assert failure.message in CASES[name].sdk["message"].replace("\\n", "\n")


@given(data=st.data())
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_cut_short_is_never_a_short_success(name: str, data: st.DataObject) -> None:
    body = CASES[name].body
    whole = decoded([body])
    end = data.draw(st.integers(0, len(body)))
    events, failure, _ = decoded([body[:end]])
    if failure is None:
        # Only the last event's blank line may be missing.
        assert end >= len(body) - len(b"\r\n\r\n")
        assert events == whole.events
    else:
        assert not any(isinstance(event, Finish) for event in events)


def parts_sent_back(name: str, style: ThinkingStyle) -> tuple[list[Any], list[Any]]:
    """The recorded parts of a stream, and those of the next turn's request."""
    case = CASES[name]
    received = [
        part
        for event in case.body.decode().split("\r\n\r\n")
        if event
        for part in json.loads(event.removeprefix("data: "))["candidates"][0]["content"]["parts"]
    ]
    parts = parts_of(outcome(case).events)
    results = tuple(
        ToolResultPart(part.tool_call_id, (TextPart("done"),))
        for part in reversed(parts)
        if isinstance(part, ToolCallPart)
    )
    messages = [*QUESTION.messages, Message(Role.ASSISTANT, parts)]
    if results:
        messages.append(Message(Role.TOOL, results))
    call = SPOKEN.build(
        GenerationRequest("", tuple(messages)), "m", Capabilities(thinking=style), stream=True
    )
    contents = json.loads(call.body)["contents"]
    if results:
        # One response for each call, in the order of the calls.
        answered = [part["functionResponse"]["name"] for part in contents[2]["parts"]]
        assert answered == [
            part["functionCall"]["name"] for part in received if "functionCall" in part
        ]
    return received, contents[1]["parts"]


@pytest.mark.parametrize(
    "name",
    [
        "gemini/stream-parallel-tools-signature",
        "gemini/stream-thinking",
        "gemini/stream-vertex-tool",
    ],
)
def test_calls_go_back_as_they_came_with_their_signatures(name: str) -> None:
    received, sent = parts_sent_back(name, ThinkingStyle.BUDGET)
    # Thoughts without a signature are a summary that the model has no use for.
    assert sent == [part for part in received if "thought" not in part]


def test_a_text_goes_back_with_the_signature_behind_it() -> None:
    received, sent = parts_sent_back("gemini/stream-gemini3-signature", ThinkingStyle.LEVEL)
    *texts, signed = received
    # Pieces of unsigned text are one text.
    assert sent == [{"text": "".join(part["text"] for part in texts)}, signed]
    assert signed["text"] == ""
    assert signed["thoughtSignature"]


async def test_every_recording_survives_real_http() -> None:
    upstream, answers = await survived(DIALECT, CASES.values(), outcome, "gemini-x")
    for name, (_, error, usage) in answers.items():
        expected = outcome(CASES[name])
        assert usage == expected.usage, name
        if error is not None and expected.failure is not None:
            assert error.retry_after == expected.failure.retry_after, name
    assert upstream.connections_total == 1
    paths = {request.path for request in upstream.requests}
    assert paths == {"/v1/models/gemini-x:streamGenerateContent?alt=sse"}
    assert {request.headers["x-goog-api-key"] for request in upstream.requests} == {KEY}


@pytest.mark.parametrize("name", ["gemini/stream-thinking", "gemini/stream-gemini3-signature"])
async def test_a_stream_may_arrive_in_any_pieces_over_http(name: str) -> None:
    case = CASES[name]

    async def drip(conn: Conn) -> None:
        await conn.head()
        for piece in cuts_of(case.body, range(61, len(case.body), 61)):
            await conn.chunk(piece)
        await conn.end()

    async with provider_over(DIALECT, drip) as (provider, _):
        events, error, usage = await received(provider, "gemini-x")
    assert error is None
    assert merge(events) == merge(outcome(case).events)
    assert usage == outcome(case).usage
