"""The openai_responses dialect against recorded answers and what OpenAI's own SDK makes of them."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import (
    Message,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import Provider
from llmgateway_server.providers.openai_responses import (
    DIALECT,
    OpenAIResponses,
    OpenAIResponsesOptions,
)
from llmgateway_server.providers.openai_responses.stream import ResponseStream
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
from support.replays import QUESTION, survived

# What fails: the reason, and the provider's code.
FAILURES = {
    "openai_responses/responses-error-400": (Reason.MODEL_NOT_FOUND, "model_not_found"),
    "openai_responses/responses-error-401": (
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        "invalid_api_key",
    ),
    # An error inside a stream that began with 200.
    "openai_responses/responses-stream-rate-limited": (
        Reason.PROVIDER_RATE_LIMITED,
        "rate_limit_exceeded",
    ),
}


SPOKEN = OpenAIResponses(PROVIDER, "https://api.openai.com/v1", OpenAIResponsesOptions())
CASES = recordings("openai_responses")
STREAMS = [case for case in CASES.values() if case.is_stream]
ANSWERS = [case for case in CASES.values() if case.name not in FAILURES]


def decoded(pieces: Iterable[bytes]) -> Outcome:
    return decoded_by(ResponseStream(), pieces)


def outcome(case: Case) -> Outcome:
    return outcome_by(SPOKEN, case)


def expected_finish(sdk: dict[str, Any]) -> FinishReason:
    """The SDK has a status; a call makes it a call, and the limit an answer of its length."""
    if sdk["status"] == "incomplete":
        return FinishReason.LENGTH
    return FinishReason.TOOL_CALLS if sdk["function_calls"] else FinishReason.STOP


def test_every_recording_is_here() -> None:
    assert len(CASES) == 8
    assert set(FAILURES) <= set(CASES)


@pytest.mark.parametrize("name", names(ANSWERS))
def test_an_answer_says_what_the_sdk_reads(name: str) -> None:
    case = CASES[name]
    events, failure, _ = outcome(case)
    assert failure is None
    parts = parts_of(events)
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    calls = [
        {"call_id": part.tool_call_id, "name": part.name, "arguments": part.arguments_json}
        for part in parts
        if isinstance(part, ToolCallPart)
    ]
    assert "".join(texts) == case.sdk["output_text"]
    assert calls == case.sdk["function_calls"]


@pytest.mark.parametrize("name", names(ANSWERS))
def test_an_answer_finishes_last_with_its_usage_before(name: str) -> None:
    case = CASES[name]
    *before, usage, finish = outcome(case).events
    assert not any(isinstance(event, Finish | Usage) for event in before)
    assert isinstance(finish, Finish)
    assert finish.reason is expected_finish(case.sdk)
    told = case.sdk["usage"]
    assert usage == Usage(
        input_token_count=told["input_tokens"],
        output_token_count=told["output_tokens"],
        cached_input_token_count=told["input_tokens_details"]["cached_tokens"],
        reasoning_token_count=told["output_tokens_details"]["reasoning_tokens"],
    )


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_has_its_reason_and_code(name: str) -> None:
    failure = outcome(CASES[name]).failure
    assert failure is not None
    assert (failure.reason, failure.code) == FAILURES[name]
    assert failure.message


@given(data=st.data())
@pytest.mark.parametrize("name", names(STREAMS))
def test_a_stream_cut_short_is_never_a_short_success(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    whole = decoded([case.body])
    end = data.draw(st.integers(0, len(case.body)))
    events, failure, _ = decoded([case.body[:end]])
    if failure is None:
        assert events == whole.events
    else:
        assert not any(isinstance(event, Finish) for event in events)


def test_a_tool_conversation_goes_back_as_it_came() -> None:
    case = CASES["openai_responses/responses-stream-function-call"]
    answer = parts_of(outcome(case).events)
    (call,) = case.sdk["function_calls"]
    result = ToolResultPart(call["call_id"], (TextPart("20 degrees"),))
    request = GenerationRequest(
        "",
        (
            *QUESTION.messages,
            Message(Role.ASSISTANT, answer),
            Message(Role.TOOL, (result,)),
        ),
    )
    written = json.loads(SPOKEN.build(request, "m", Capabilities(), stream=True).body)
    _, sent_call, sent_result = written["input"]
    assert sent_call == {"type": "function_call", **call}
    assert sent_result == {
        "type": "function_call_output",
        "call_id": call["call_id"],
        "output": "20 degrees",
    }


async def received(provider: Provider) -> tuple[list[ProviderEvent], GatewayError | None]:
    events: list[ProviderEvent] = []
    try:
        stream = await provider.open(QUESTION, "m", Timers())
        while not (events and isinstance(events[-1], Finish)):
            events += await stream.read()
    except GatewayError as error:
        return events, error
    return events, None


async def test_every_recording_survives_real_http() -> None:
    upstream, _ = await survived(DIALECT, CASES.values(), outcome, "m")
    assert {request.path for request in upstream.requests} == {"/v1/responses"}
