"""What errors mean: over HTTP, within an answer, in Anthropic's shape and in others'.

All bodies but those of the recorded cases are synthetic, from the shapes that Anthropic documents
and from errors that users of its API reported.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.anthropic.failure import failure_in_answer, failure_of_response
from llmgateway_server.providers.dialect import Failure
from support.message_stream import failed, fed, message_start, sse, text_block

CONTEXT = "prompt is too long: 210000 tokens > 200000 maximum"


def error(kind: str, message: str = "m", **more: Any) -> bytes:
    fields = {"type": kind, "message": message, **more}
    return json.dumps({"type": "error", "error": fields, "request_id": "req_1"}).encode()


TYPES = [
    (400, "invalid_request_error", Reason.PROVIDER_REJECTED_REQUEST),
    (401, "authentication_error", Reason.PROVIDER_CREDENTIALS_REJECTED),
    (402, "billing_error", Reason.PROVIDER_QUOTA_EXHAUSTED),
    (403, "permission_error", Reason.PROVIDER_CREDENTIALS_REJECTED),
    (404, "not_found_error", Reason.MODEL_NOT_FOUND),
    (409, "conflict_error", Reason.PROVIDER_CONFLICT),
    (413, "request_too_large", Reason.REQUEST_TOO_LARGE),
    (429, "rate_limit_error", Reason.PROVIDER_RATE_LIMITED),
    (500, "api_error", Reason.PROVIDER_ERROR),
    (504, "timeout_error", Reason.PROVIDER_TIMEOUT),
    (529, "overloaded_error", Reason.PROVIDER_OVERLOADED),
]


@pytest.mark.parametrize(("status", "kind", "reason"), TYPES)
def test_a_type_means_the_same_over_http_and_in_a_stream(
    status: int, kind: str, reason: Reason
) -> None:
    expected = Failure(reason, "m", kind)
    assert failure_of_response(status, error(kind)) == expected
    assert failure_in_answer(error(kind)) == expected
    stream = sse(message_start(), *text_block(0, "x"))
    assert failed(stream + b"event: error\ndata: " + error(kind) + b"\n\n") == expected
    assert failed(stream + b"data: " + error(kind) + b"\n\n") == expected


def test_an_overloaded_server_breaks_off_its_answer() -> None:
    # As it was seen in public: then the stream ends.
    data = (
        b'{"type":"error","error":{"details":null,"type":"overloaded_error",'
        b'"message":"Overloaded"},"request_id":"req_1"}'
    )
    stream = sse(message_start(input_tokens=3), *text_block(0, "x"))
    events, failure = fed(stream + b"event: error\ndata: " + data + b"\n\n", stream)
    assert failure == Failure(Reason.PROVIDER_OVERLOADED, "Overloaded", "overloaded_error")
    assert len(events) == 1


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.PROVIDER_REJECTED_REQUEST),
        (401, Reason.PROVIDER_CREDENTIALS_REJECTED),
        (402, Reason.PROVIDER_QUOTA_EXHAUSTED),
        (404, Reason.MODEL_NOT_FOUND),
        (413, Reason.REQUEST_TOO_LARGE),
        (429, Reason.PROVIDER_RATE_LIMITED),
        (500, Reason.PROVIDER_ERROR),
        (502, Reason.PROVIDER_ERROR),
        (503, Reason.PROVIDER_ERROR),
        (524, Reason.PROVIDER_ERROR),
        (529, Reason.PROVIDER_OVERLOADED),
        (418, Reason.PROVIDER_PROTOCOL_ERROR),
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><head><title>413 Request Entity Too Large</title></head></html>",
        b"no JSON",
        b"[]",
        b'{"type":"error"}',
        b'{"type":"error","error":null}',
        b'{"type":"error","error":{"type":"new_error","message":"m"}}',
        b'{"detail":"m"}',
    ],
)
def test_without_a_type_the_status_says_it(status: int, reason: Reason, body: bytes) -> None:
    assert failure_of_response(status, body).reason is reason


def test_a_page_is_no_message() -> None:
    assert failure_of_response(413, b"<html>413</html>").message == ""
    assert failure_of_response(502, b"upstream gone\n").message == "upstream gone"


@pytest.mark.parametrize(
    ("message", "limit", "requested"),
    [
        (CONTEXT, "200000", "210000"),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, "
            "decrease input length or `max_tokens` and try again",
            "200000",
            "210000",
        ),
    ],
)
def test_a_prompt_that_is_too_long_is_told_by_how_much(
    message: str, limit: str, requested: str
) -> None:
    body = error("invalid_request_error", message)
    expected = Failure(
        Reason.CONTEXT_LENGTH_EXCEEDED,
        message,
        "invalid_request_error",
        (("limit_tokens", limit), ("request_tokens", requested)),
    )
    assert failure_of_response(400, body) == expected
    assert failure_in_answer(body) == expected


def test_a_prompt_that_is_too_long_may_come_without_numbers() -> None:
    failure = failure_of_response(400, error("invalid_request_error", "prompt is too long"))
    assert (failure.reason, failure.metadata) == (Reason.CONTEXT_LENGTH_EXCEEDED, ())


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Output blocked by content filtering policy", Reason.CONTENT_BLOCKED),
        (
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
            "Billing to upgrade or purchase credits.",
            Reason.PROVIDER_QUOTA_EXHAUSTED,
        ),
        (
            "You have reached your specified API usage limits. You will regain access on "
            "2026-12-01 at 00:00 UTC.",
            Reason.PROVIDER_QUOTA_EXHAUSTED,
        ),
    ],
)
def test_what_has_no_type_of_its_own_is_told_by_its_words(message: str, reason: Reason) -> None:
    body = error("invalid_request_error", message)
    assert failure_of_response(400, body).reason is reason
    assert failure_in_answer(body).reason is reason


def test_words_beside_a_telling_status_tell_nothing() -> None:
    body = error("api_error", CONTEXT)
    assert failure_of_response(500, body).reason is Reason.PROVIDER_ERROR


@pytest.mark.parametrize("status", [500, 503, 529])
def test_an_overload_by_another_type_is_one(status: int) -> None:
    body = error("api_error", "Overloaded")
    assert failure_of_response(status, body).reason is Reason.PROVIDER_OVERLOADED
    assert failure_in_answer(body).reason is Reason.PROVIDER_OVERLOADED


def openai(status: int, kind: str, code: Any, message: str = "m", **more: Any) -> Failure:
    fields = {"message": message, "type": kind, "code": code, **more}
    return failure_of_response(status, json.dumps({"error": fields}).encode())


@pytest.mark.parametrize(
    ("failure", "reason", "code"),
    [
        # llama.cpp
        (openai(503, "unavailable_error", 503), Reason.PROVIDER_ERROR, "unavailable_error"),
        (
            openai(401, "authentication_error", 401),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
            "authentication_error",
        ),
        # Of another vendor, this type says nothing beside the status.
        (
            openai(401, "invalid_request_error", "invalid_api_key"),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
            "invalid_api_key",
        ),
        (
            openai(403, "invalid_request_error", None),
            Reason.PROVIDER_CREDENTIALS_REJECTED,
            "invalid_request_error",
        ),
        (
            openai(429, "insufficient_quota", "insufficient_quota"),
            Reason.PROVIDER_QUOTA_EXHAUSTED,
            "insufficient_quota",
        ),
        (
            openai(400, "invalid_request_error", "model_not_found"),
            Reason.MODEL_NOT_FOUND,
            "model_not_found",
        ),
    ],
)
def test_errors_in_openais_shape_are_read(failure: Failure, reason: Reason, code: str) -> None:
    assert (failure.reason, failure.code, failure.message) == (reason, code, "m")


def test_llama_cpp_tells_how_long_a_context_is() -> None:
    message = "request (600 tokens) exceeds the available context size (512 tokens), try increasing"
    failure = openai(400, "exceed_context_size_error", 400, message, n_prompt_tokens=600, n_ctx=512)
    assert failure == Failure(
        Reason.CONTEXT_LENGTH_EXCEEDED,
        message,
        "exceed_context_size_error",
        (("limit_tokens", "512"), ("request_tokens", "600")),
    )


def test_the_status_in_an_answer_counts_as_if_it_had_come_by_http() -> None:
    body = b'{"error":{"message":"m","type":"unavailable_error","code":429}}'
    assert failure_in_answer(body).reason is Reason.PROVIDER_RATE_LIMITED


@given(status=st.integers(400, 599), body=st.binary(max_size=60))
def test_no_body_raises(status: int, body: bytes) -> None:
    assert failure_of_response(status, body).reason
    assert failure_in_answer(body).reason
