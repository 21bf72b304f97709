"""The anthropic dialect against recorded answers and what Anthropic's own SDK makes of them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.capabilities import Capabilities
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
from llmgateway_server.domain.request import GenerationRequest, Tool
from llmgateway_server.providers.anthropic import DIALECT, Anthropic, AnthropicOptions
from llmgateway_server.providers.anthropic.signature import thinking_block
from llmgateway_server.providers.anthropic.stream import MessageStream
from support.recordings import (
    PROVIDER,
    Case,
    Outcome,
    decoded_by,
    names,
    outcome_by,
    parts_of,
    recordings,
)
from support.replays import KEY, provider_over, received, survived
from support.upstream import Conn

FINISHES = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
}
# What fails: the reason, and the provider's code.
FAILURES = {
    "anthropic/error-400-shape": (Reason.PROVIDER_REJECTED_REQUEST, "invalid_request_error"),
    "anthropic/error-401": (Reason.PROVIDER_CREDENTIALS_REJECTED, "authentication_error"),
    "anthropic/error-404-model": (Reason.MODEL_NOT_FOUND, "not_found_error"),
}


SPOKEN = Anthropic(PROVIDER, "https://api.anthropic.com/v1", AnthropicOptions())
CASES = recordings("anthropic")
STREAMS = [case for case in CASES.values() if case.is_stream]
ANSWERS = [case for case in CASES.values() if case.name not in FAILURES]


def decoded(pieces: Iterable[bytes]) -> Outcome:
    return decoded_by(MessageStream(), pieces)


def outcome(case: Case) -> Outcome:
    return outcome_by(SPOKEN, case)


def as_block(part: Part) -> dict[str, Any]:
    """A part in the words of the SDK's content blocks."""
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ToolCallPart():
            arguments = json.loads(part.arguments_json)
            return {
                "type": "tool_use",
                "id": part.tool_call_id,
                "name": part.name,
                "input": arguments,
            }
        case ReasoningPart():
            assert part.signature_provider == PROVIDER
            return thinking_block(part)
        case _:
            raise AssertionError(part)


def sdk_block(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block of the SDK without what the contract has no place for: citations and callers."""
    return {key: value for key, value in block.items() if key not in {"caller", "citations"}}


def expected_usage(usage: Mapping[str, Any]) -> Usage:
    """The SDK's numbers in our convention: input includes what the cache read and wrote."""
    read = usage.get("cache_read_input_tokens") or 0
    written = usage.get("cache_creation_input_tokens") or 0
    return Usage(
        input_token_count=usage["input_tokens"] + read + written,
        output_token_count=usage["output_tokens"],
        cached_input_token_count=read,
        cache_write_input_token_count=written,
    )


def asked(text: str) -> Message:
    return Message(Role.USER, (TextPart(text),))


def sent(request: GenerationRequest) -> dict[str, Any]:
    """What a request is on the wire."""
    call = SPOKEN.build(request, "m", Capabilities(), stream=True)
    written: dict[str, Any] = json.loads(call.body)
    return written


def test_every_recording_is_here() -> None:
    assert len(CASES) == 19
    assert set(FAILURES) <= set(CASES)


@pytest.mark.parametrize("name", names(ANSWERS))
def test_an_answer_says_what_the_sdk_reads(name: str) -> None:
    case = CASES[name]
    events, failure, _ = outcome(case)
    assert failure is None
    expected = [sdk_block(block) for block in case.sdk["content"]]
    assert [as_block(part) for part in parts_of(events)] == expected


@pytest.mark.parametrize("name", names(ANSWERS))
def test_an_answer_finishes_last_and_as_the_sdk_says(name: str) -> None:
    case = CASES[name]
    *before, finish = outcome(case).events
    assert not any(isinstance(event, Finish) for event in before)
    word = case.sdk["stop_reason"]
    assert finish == Finish(FINISHES[word], word, case.sdk["stop_sequence"] or "")


@pytest.mark.parametrize("name", names(ANSWERS))
def test_usage_is_the_sdks_in_our_convention(name: str) -> None:
    case = CASES[name]
    events, _, usage = outcome(case)
    usages = [event for event in events if isinstance(event, Usage)]
    assert usages == [expected_usage(case.sdk["usage"])]
    assert events[-2] is usages[0]
    assert usage == usages[0]


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_has_its_reason_code_and_words(name: str) -> None:
    case = CASES[name]
    failure = outcome(case).failure
    assert failure is not None
    assert (failure.reason, failure.code) == FAILURES[name]
    assert failure.message
    assert repr(failure.message) in case.sdk["message"]


def assert_no_short_success(case: Case, end: int) -> None:
    whole = decoded([case.body])
    events, failure, _ = decoded([case.body[:end]])
    if failure is None:
        # Only what follows message_stop was missing.
        assert case.body[end:].strip(b" }\n") == b""
        assert events == whole.events
        return
    assert not any(isinstance(event, Finish) for event in events)
    for part, complete in zip(parts_of(events), parts_of(whole.events), strict=False):
        assert type(part) is type(complete)


@given(data=st.data())
@pytest.mark.parametrize("name", names(STREAMS))
def test_a_stream_cut_short_is_never_a_short_success(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    assert_no_short_success(case, data.draw(st.integers(0, len(case.body))))


@pytest.mark.long
@pytest.mark.parametrize("name", names(STREAMS))
def test_no_cut_at_all_is_a_short_success(name: str) -> None:
    for end in range(len(CASES[name].body)):
        assert_no_short_success(CASES[name], end)


def test_a_tool_conversation_goes_back_as_it_came() -> None:
    case = CASES["anthropic/stream-multi-tool"]
    answer = parts_of(outcome(case).events)
    calls = [part for part in answer if isinstance(part, ToolCallPart)]
    results = [ToolResultPart(call.tool_call_id, (TextPart("6"),)) for call in calls]
    request = GenerationRequest(
        "",
        (
            asked("Add and multiply the number 2 and 3"),
            Message(Role.ASSISTANT, answer),
            *(Message(Role.TOOL, (result,)) for result in results),
        ),
        tools=(Tool("add"), Tool("multiply")),
    )
    question, turn, answers = sent(request)["messages"]
    assert question["role"] == "user"
    assert turn == {"role": "assistant", "content": list(map(sdk_block, case.sdk["content"]))}
    assert answers == {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": block["id"],
                "content": [{"type": "text", "text": "6"}],
            }
            for block in case.sdk["content"]
            if block["type"] == "tool_use"
        ],
    }


@pytest.mark.parametrize(
    "name",
    [
        "anthropic/nonstream-thinking",
        "anthropic/stream-extended-thinking-prism",
        "anthropic/stream-thinking",
        "anthropic/stream-thinking-redacted",
    ],
)
def test_reasoning_goes_back_unchanged_to_whom_it_came_from(name: str) -> None:
    case = CASES[name]
    answer = parts_of(outcome(case).events)
    request = GenerationRequest(
        "", (asked("Hello"), Message(Role.ASSISTANT, answer), asked("Go on"))
    )
    _, turn, _ = sent(request)["messages"]
    assert turn["content"] == case.sdk["content"]


async def test_every_recording_survives_real_http() -> None:
    upstream, _ = await survived(DIALECT, CASES.values(), outcome, "m")
    # Answers and refusals alike leave the connection to the next.
    assert upstream.connections_total == 1
    assert {request.path for request in upstream.requests} == {"/v1/messages"}
    assert {request.headers["x-api-key"] for request in upstream.requests} == {KEY}


async def test_a_refusal_names_the_request_at_the_provider() -> None:
    case = CASES["anthropic/error-401"]

    async def refuse(conn: Conn) -> None:
        await conn.respond(
            case.meta["status"],
            case.body,
            {"content-type": "application/json", "request-id": "req_011CeCGmBjaWkq37Sf5iU7so"},
        )

    async with provider_over(DIALECT, refuse) as (provider, _):
        error = (await received(provider)).error
    assert error is not None
    attempt = error.attempts[0]
    assert (attempt.http_status, attempt.provider_code) == (401, "authentication_error")
    assert attempt.provider_request_id == "req_011CeCGmBjaWkq37Sf5iU7so"
