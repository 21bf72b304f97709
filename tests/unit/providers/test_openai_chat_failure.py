"""What servers' errors mean, in every shape they come in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure
from llmgateway_server.providers.openai_errors import failure_in_answer, failure_of_response
from support.chat_stream import failed, sse
from support.openai.errors import HTTP_ERRORS

REASONS = {
    "http_400_context_length_exceeded": Reason.CONTEXT_LENGTH_EXCEEDED,
    "http_400_exceed_context_size": Reason.CONTEXT_LENGTH_EXCEEDED,
    "http_400_unsupported_parameter": Reason.PROVIDER_REJECTED_REQUEST,
    "http_400_content_policy": Reason.CONTENT_BLOCKED,
    "http_400_content_filter": Reason.CONTENT_BLOCKED,
    "http_401": Reason.PROVIDER_CREDENTIALS_REJECTED,
    "http_402": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "http_403": Reason.PROVIDER_CREDENTIALS_REJECTED,
    "http_404_model_not_found": Reason.MODEL_NOT_FOUND,
    "http_408": Reason.PROVIDER_TIMEOUT,
    "http_409": Reason.PROVIDER_CONFLICT,
    "http_413": Reason.REQUEST_TOO_LARGE,
    "http_415": Reason.PROVIDER_REJECTED_REQUEST,
    "http_422": Reason.PROVIDER_REJECTED_REQUEST,
    "http_429_insufficient_quota": Reason.PROVIDER_QUOTA_EXHAUSTED,
    "http_429_rate_limit_exceeded": Reason.PROVIDER_RATE_LIMITED,
    "http_500": Reason.PROVIDER_ERROR,
    "http_502": Reason.PROVIDER_ERROR,
    "http_503": Reason.PROVIDER_OVERLOADED,
    "http_503_loading_model": Reason.PROVIDER_ERROR,
    "http_504": Reason.PROVIDER_TIMEOUT,
    "http_520": Reason.PROVIDER_ERROR,
    "http_529": Reason.PROVIDER_OVERLOADED,
}


def encoded(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def refused(status: int, body: Any) -> Failure:
    return failure_of_response(status, encoded(body))


@pytest.mark.parametrize("name", REASONS)
def test_a_refusal_has_its_reason(name: str) -> None:
    error = HTTP_ERRORS[name]
    assert refused(error.status, error.body).reason is REASONS[name]


@pytest.mark.parametrize("status", [405, 410, 418, 425, 451, 501, 505, 530, 599, 700])
def test_a_status_that_the_contract_does_not_know_is_a_protocol_error(status: int) -> None:
    assert refused(status, "").reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_a_context_that_is_too_long_says_how_long() -> None:
    for name in ("http_400_context_length_exceeded", "http_400_exceed_context_size"):
        error = HTTP_ERRORS[name]
        assert dict(refused(error.status, error.body).metadata) == {
            "limit_tokens": "8192",
            "request_tokens": "9041",
        }


@pytest.mark.parametrize(
    "words",
    [
        "This model's maximum prompt length is 100 but the request contains 200 tokens.",
        "This model's maximum context length is 100 tokens. However, you requested 200 tokens "
        "(150 in the messages, 50 in the completion).",
        "This endpoint's maximum context length is 100 tokens. However, you requested about 200.",
        "Prompt contains 200 tokens, too large for model with 100 maximum context length",
        "request (200 tokens) exceeds the available context size (100 tokens)",
        "prompt is too long: 200 tokens > 100 maximum",
    ],
)
def test_words_alone_tell_a_context_that_is_too_long(words: str) -> None:
    failure = refused(400, {"error": {"message": words}})
    assert failure.reason is Reason.CONTEXT_LENGTH_EXCEEDED
    assert dict(failure.metadata) == {"limit_tokens": "100", "request_tokens": "200"}


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (400, {"error": {"message": "m", "type": "t", "param": None, "code": "c"}}, "c", "m"),
        (400, {"error": {"message": "m", "type": "t", "code": None}}, "t", "m"),
        # OpenRouter, vLLM: the status as the code.
        (400, {"error": {"message": "m", "code": 400}}, "400", "m"),
        (400, {"error": {"message": "m", "type": "t", "code": 400}}, "t", "m"),
        # xAI.
        (400, {"code": "c", "error": "m"}, "c", "m"),
        # Ollama's own API.
        (400, {"error": "m"}, "", "m"),
        # vLLM, older.
        (400, {"object": "error", "message": "m", "type": "t", "code": 400}, "t", "m"),
        # Mistral, FastAPI.
        (422, {"detail": "m"}, "", "m"),
        (422, {"detail": [{"loc": ["body", 0], "msg": "m"}, {"msg": "n"}]}, "", "body.0: m; n"),
        # Azure.
        (400, {"error": {"code": "400", "innererror": {"code": "c"}, "message": "m"}}, "c", "m"),
        # OpenRouter behind its own words.
        (429, {"error": {"code": 429, "message": "m", "metadata": {"raw": "n"}}}, "429", "m n"),
        # Gemini's compatible endpoint.
        (400, [{"error": {"code": 400, "message": "m", "status": "S"}}], "S", "m"),
        # Proxies.
        (502, "upstream connect error", "", "upstream connect error"),
        (502, "<html><body>Bad gateway</body></html>", "", ""),
        (500, "", "", ""),
        (500, "null", "", ""),
        (500, "[]", "", ""),
        (500, {}, "", ""),
        (500, {"error": {"code": True, "message": 7}}, "", ""),
        (500, "[" * 100_000, "", "[" * 4096),
    ],
)
def test_every_shape_gives_its_code_and_words(
    status: int, body: Any, code: str, message: str
) -> None:
    failure = refused(status, body)
    assert (failure.code, failure.message) == (code, message)


@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        # A key of ours that the server refuses with another status than 401.
        (400, {"message": "Incorrect API key provided"}, Reason.PROVIDER_CREDENTIALS_REJECTED),
        (400, {"code": "model_not_found"}, Reason.MODEL_NOT_FOUND),
        (403, {"code": "insufficient_quota"}, Reason.PROVIDER_QUOTA_EXHAUSTED),
        # OpenRouter's moderation.
        (403, {"message": "x", "metadata": {"flagged_input": "y"}}, Reason.CONTENT_BLOCKED),
        (400, {"innererror": {"code": "ResponsibleAIPolicyViolation"}}, Reason.CONTENT_BLOCKED),
        # Groq: more than a minute's tokens in one request, which no waiting cures.
        (413, {"type": "tokens", "code": "rate_limit_exceeded"}, Reason.REQUEST_TOO_LARGE),
        # A rate limit may well name a context length.
        (429, {"message": "context length"}, Reason.PROVIDER_RATE_LIMITED),
        (500, {"message": "That model is currently overloaded"}, Reason.PROVIDER_OVERLOADED),
        (400, {"message": "The word overloaded"}, Reason.PROVIDER_REJECTED_REQUEST),
    ],
)
def test_words_and_codes_go_before_the_status_where_they_say_more(
    status: int, error: dict[str, Any], reason: Reason
) -> None:
    assert refused(status, {"error": error}).reason is reason


IN_ANSWERS = [
    ({"code": "rate_limit_exceeded", "type": "requests"}, Reason.PROVIDER_RATE_LIMITED),
    ({"type": "insufficient_quota"}, Reason.PROVIDER_QUOTA_EXHAUSTED),
    ({"type": "overloaded_error"}, Reason.PROVIDER_OVERLOADED),
    ({"code": "slow_down"}, Reason.PROVIDER_OVERLOADED),
    ({"code": "context_length_exceeded"}, Reason.CONTEXT_LENGTH_EXCEEDED),
    ({"code": "content_filter"}, Reason.CONTENT_BLOCKED),
    ({"code": 429, "message": "m"}, Reason.PROVIDER_RATE_LIMITED),
    ({"code": 502, "message": "m"}, Reason.PROVIDER_ERROR),
    ({"code": 529, "message": "m"}, Reason.PROVIDER_OVERLOADED),
    ({"status_code": 400, "code": "tool_use_failed"}, Reason.PROVIDER_REJECTED_REQUEST),
    ({"type": "server_error"}, Reason.PROVIDER_ERROR),
    ({"type": "invalid_request_error"}, Reason.PROVIDER_REJECTED_REQUEST),
    ({"type": "authentication_error"}, Reason.PROVIDER_CREDENTIALS_REJECTED),
    ({"code": 200}, Reason.PROVIDER_ERROR),
    ("something happened", Reason.PROVIDER_ERROR),
]


@pytest.mark.parametrize(("error", "reason"), IN_ANSWERS)
def test_an_error_behind_a_200_is_the_same_in_body_and_stream(error: Any, reason: Reason) -> None:
    body = {"error": error}
    assert failure_in_answer(encoded(body)).reason is reason
    assert failed(sse(body)).reason is reason


@pytest.mark.parametrize(
    "data",
    [
        b'event: error\ndata: {"message": "m", "code": 429}\n\n',
        b'event: error\ndata: {"error": {"message": "m", "code": 429}}\n\n',
        b'data: {"object": "error", "message": "m", "code": 429}\n\n',
        b'data: {"choices": [{"index": 0, "delta": {}, "error": {"code": 429}}]}\n\n',
        b'data: {"choices": [], "x_groq": {"error": {"code": 429}}}\n\n',
    ],
)
def test_an_error_is_found_wherever_a_stream_has_it(data: bytes) -> None:
    assert failed(data).reason is Reason.PROVIDER_RATE_LIMITED


def test_an_error_event_that_is_no_json_is_an_error() -> None:
    failure = failed(b"event: error\ndata: engine died\n\n")
    assert failure == Failure(Reason.PROVIDER_ERROR, "engine died")


@given(
    status=st.integers(400, 599),
    body=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["error", "code", "type", "message", "detail", "metadata", "status", "choices"]
                ),
                inner,
                max_size=4,
            )
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_no_error_is_too_odd(status: int, body: bytes) -> None:
    failure = failure_of_response(status, body)
    assert isinstance(failure.reason, Reason)
    assert isinstance(failure_in_answer(body).message, str)
