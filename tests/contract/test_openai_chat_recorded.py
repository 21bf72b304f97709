"""The openai_chat dialect against recorded answers and what OpenAI's own SDK makes of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.content import (
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.openai_chat import DIALECT, OpenAIChat, OpenAIChatOptions
from llmgateway_server.providers.openai_chat.stream import ChatStream
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
from support.replays import provider_over, received, respond, survived
from support.upstream import Conn

# Where we differ from the SDK on purpose, beside the usage convention of `expected_usage`:
# the finish that we report instead of the one that the SDK read, and why.
FINISHES = {
    # A refusal ends with "stop"; its text says that it is one.
    "openai/chat-nonstream-refusal": (FinishReason.REFUSAL, "stop"),
    # Together's word for a stop.
    "compatible/together-nonstream-eos": (FinishReason.STOP, "eos"),
    # [DONE] without a reason is an end whose reason is not known.
    "compatible/snowflake-stream": (FinishReason.OTHER, ""),
    # A choice without a message, on which the SDK raises AttributeError.
    "compatible/azure-nonstream-content-filter": (FinishReason.CONTENT_FILTER, "content_filter"),
}
SDK_FINISHES = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
}

# What fails: the reason, the provider's code, and the reasoning that came before.
FAILURES = {
    "openai/chat-error-400-image-download": (
        Reason.PROVIDER_REJECTED_REQUEST,
        "invalid_image_url",
    ),
    "openai/chat-error-400-max-tokens-unsupported": (
        Reason.PROVIDER_REJECTED_REQUEST,
        "unsupported_parameter",
    ),
    "openai/chat-error-401": (Reason.PROVIDER_CREDENTIALS_REJECTED, "invalid_api_key"),
    "openai/chat-error-404-model": (Reason.MODEL_NOT_FOUND, "model_not_found"),
    "openai/chat-error-429-insufficient-quota": (
        Reason.PROVIDER_QUOTA_EXHAUSTED,
        "insufficient_quota",
    ),
    "compatible/azure-error-404-deployment": (Reason.MODEL_NOT_FOUND, "DeploymentNotFound"),
    "compatible/azure-error-429": (Reason.PROVIDER_RATE_LIMITED, "RateLimitReached"),
    "compatible/deepseek-error-401": (
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        "invalid_request_error",
    ),
    "compatible/groq-error-400-tool-use-failed": (
        Reason.PROVIDER_REJECTED_REQUEST,
        "tool_use_failed",
    ),
    "compatible/groq-stream-error-event": (Reason.PROVIDER_REJECTED_REQUEST, "tool_use_failed"),
    "compatible/mistral-error-401": (Reason.PROVIDER_CREDENTIALS_REJECTED, ""),
    "compatible/ollama-error-401": (Reason.PROVIDER_CREDENTIALS_REJECTED, "api_error"),
    "compatible/openrouter-error-401": (Reason.PROVIDER_CREDENTIALS_REJECTED, "401"),
    "compatible/openrouter-error-429": (Reason.PROVIDER_RATE_LIMITED, "429"),
    "compatible/openrouter-stream-error-200": (Reason.PROVIDER_REJECTED_REQUEST, "400"),
    "compatible/perplexity-error-401": (
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        "invalid_api_key",
    ),
    # A bad key with status 400: it is ours, so the caller's request is not to blame.
    "compatible/xai-error-400-string": (
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        "invalid-argument",
    ),
    # The SDK makes an empty answer of any JSON.
    "compatible/invalid-200-not-a-completion": (Reason.PROVIDER_PROTOCOL_ERROR, ""),
}


SPOKEN = OpenAIChat(PROVIDER, "https://api.openai.com/v1", OpenAIChatOptions())
CASES = recordings("compatible", "openai")
STREAMS = [case for case in CASES.values() if case.is_stream]
ANSWERS = [case for case in CASES.values() if case.name not in FAILURES]


def decoded(pieces: Iterable[bytes]) -> Outcome:
    return decoded_by(ChatStream(), pieces)


def outcome(case: Case) -> Outcome:
    return outcome_by(SPOKEN, case)


def text_of(parts: Sequence[Part], kind: type[TextPart | ReasoningPart] = TextPart) -> str:
    return "".join(part.text for part in parts if isinstance(part, kind))


def expected_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    """The SDK's numbers in our convention: output includes reasoning."""
    if usage is None:
        return None
    output = usage["completion_tokens"]
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    # xAI's total is the only sign that it counts reasoning beside the completion.
    if usage["total_tokens"] == usage["prompt_tokens"] + output + reasoning:
        output += reasoning
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        input_token_count=usage["prompt_tokens"],
        output_token_count=output,
        cached_input_token_count=details.get("cached_tokens") or 0,
        cache_write_input_token_count=details.get("cache_write_tokens") or 0,
        reasoning_token_count=reasoning,
    )


def test_every_recording_is_here() -> None:
    assert len(CASES) == 59
    assert set(FAILURES) | set(FINISHES) <= set(CASES)


@pytest.mark.parametrize("name", names(ANSWERS))
def test_an_answer_says_what_the_sdk_reads(name: str) -> None:
    case = CASES[name]
    events, failure, _ = outcome(case)
    assert failure is None
    # Of several choices we hear the first, since we never ask for more than one.
    choice = case.sdk["choices"][0] if "choices" in case.sdk else {}
    parts = parts_of(events)
    assert text_of(parts) == (choice.get("content") or "") + (choice.get("refusal") or "")
    extra = choice.get("extra", choice)
    reasoning = extra.get("reasoning") or extra.get("reasoning_content") or ""
    assert text_of(parts, ReasoningPart) == reasoning
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    assert [
        {"id": call.tool_call_id, "name": call.name, "arguments": call.arguments_json}
        for call in calls
    ] == choice.get("tool_calls", [])


@pytest.mark.parametrize("name", names(ANSWERS))
def test_an_answer_finishes_last_and_as_the_sdk_says(name: str) -> None:
    case = CASES[name]
    *before, finish = outcome(case).events
    assert not any(isinstance(event, Finish) for event in before)
    word = case.sdk["choices"][0]["finish_reason"] if "choices" in case.sdk else ""
    reason, provider_reason = FINISHES.get(name) or (SDK_FINISHES[word], word)
    assert finish == Finish(reason, provider_reason)


@pytest.mark.parametrize("name", names(ANSWERS))
def test_usage_is_the_sdks_in_our_convention(name: str) -> None:
    case = CASES[name]
    events = outcome(case).events
    usages = [event for event in events if isinstance(event, Usage)]
    if name == "compatible/azure-nonstream-content-filter":
        # The SDK's reader stopped before it; the body says so.
        assert usages == [Usage(input_token_count=15, output_token_count=19)]
        return
    expected = expected_usage(case.sdk["usage"])
    assert usages == ([expected] if expected else [])
    if usages:
        assert events[-2] is usages[0]


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_has_its_reason_and_code(name: str) -> None:
    failure = outcome(CASES[name]).failure
    assert failure is not None
    assert (failure.reason, failure.code) == FAILURES[name]


@pytest.mark.parametrize("name", FAILURES)
def test_an_error_keeps_the_words_that_the_sdk_shows(name: str) -> None:
    case = CASES[name]
    failure = outcome(case).failure
    assert failure is not None
    said = case.sdk.get("error", case.sdk).get("message", "")
    assert failure.message.startswith(said.partition(" - ")[2] or failure.message)


@pytest.mark.parametrize(
    "name", ["compatible/groq-stream-error-event", "compatible/openrouter-stream-error-200"]
)
def test_what_came_before_an_error_in_the_stream_is_kept(name: str) -> None:
    case = CASES[name]
    events, failure, _ = outcome(case)
    assert failure is not None
    assert text_of(parts_of(events), ReasoningPart) == case.sdk["choices"][0]["reasoning"]
    assert not any(isinstance(event, Finish) for event in events)


@given(data=st.data())
@pytest.mark.parametrize("name", names(STREAMS))
def test_a_stream_cut_short_is_never_a_short_success(name: str, data: st.DataObject) -> None:
    case = CASES[name]
    whole = decoded([case.body])
    end = data.draw(st.integers(0, len(case.body)))
    events, failure, _ = decoded([case.body[:end]])
    if failure is None:
        # Only a cut behind the reason, of the usage or the [DONE], leaves an answer that is one.
        assert whole.failure is None or name == "compatible/openrouter-stream-error-200"
        assert isinstance(events[-1], Finish)
        assert parts_of(events) == parts_of(whole.events)
    else:
        assert not any(isinstance(event, Finish) for event in events)


async def test_every_recording_survives_real_http() -> None:
    upstream, _ = await survived(DIALECT, CASES.values(), outcome, "m")
    # Answers and refusals alike leave the connection to the next; only a failure behind a
    # 200 may cost it.
    broken = [name for name in FAILURES if CASES[name].meta["status"] == 200]
    assert upstream.connections_total <= 1 + len(broken)


async def test_azures_refusal_says_when_to_come_back() -> None:
    case = CASES["compatible/azure-error-429"]

    async def refuse(conn: Conn) -> None:
        await respond(conn, case)

    async with provider_over(DIALECT, refuse) as (provider, _):
        error = (await received(provider)).error
    assert error is not None
    # Its retry-after-ms says 0, its retry-after 1.
    assert error.retry_after == 1.0
    attempt = error.attempts[0]
    assert (attempt.http_status, attempt.provider_code) == (429, "RateLimitReached")
    assert attempt.provider_request_id == case.meta["response_headers"]["apim-request-id"]
