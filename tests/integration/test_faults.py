"""Everything a provider can do wrong, over real HTTP and real gRPC: the exact status of each.

After each fault nothing is left in flight, the upstream's connection is gone, and the key that
the provider may have echoed is nowhere: not in the status, not in the trailers, not in a log.
"""

import logging
from typing import NamedTuple

import grpc
import pytest
from google.rpc import error_details_pb2

from llmgateway.v1 import generation_service_pb2 as pb
from support.gateway import KEY, Failed, Running, ask, gateway_to, question, text_of
from support.openai import CONTENT, FAULTS
from support.ports import black_hole, closed_port
from support.upstream import Upstream

Code = grpc.StatusCode

# Short enough for a test; far above what loopback needs.
TIMEOUTS = {
    "connect": "500ms",
    "first_content": "700ms",
    "idle_bytes": "500ms",
    "idle_content": "700ms",
}


class Expected(NamedTuple):
    """The status of a fault; `cause` is the metadata of an interrupted stream."""

    code: Code
    reason: str
    cause: str = ""
    http_status: int = 0


def interrupted(cause: str, http_status: int = 200) -> Expected:
    return Expected(Code.UNAVAILABLE, "STREAM_INTERRUPTED", cause, http_status)


PROTOCOL = Expected(Code.INTERNAL, "PROVIDER_PROTOCOL_ERROR")
ERROR = Expected(Code.UNAVAILABLE, "PROVIDER_ERROR")
TIMEOUT = Expected(Code.UNAVAILABLE, "PROVIDER_TIMEOUT")
RATE = Expected(Code.RESOURCE_EXHAUSTED, "PROVIDER_RATE_LIMITED")
QUOTA = Expected(Code.RESOURCE_EXHAUSTED, "PROVIDER_QUOTA_EXHAUSTED")
CREDENTIALS = Expected(Code.INTERNAL, "PROVIDER_CREDENTIALS_REJECTED")
REJECTED = Expected(Code.INVALID_ARGUMENT, "PROVIDER_REJECTED_REQUEST")
CONTEXT = Expected(Code.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
BLOCKED = Expected(Code.INVALID_ARGUMENT, "CONTENT_BLOCKED")
TOO_LARGE = Expected(Code.INVALID_ARGUMENT, "REQUEST_TOO_LARGE")
NOT_FOUND = Expected(Code.NOT_FOUND, "MODEL_NOT_FOUND")
CONFLICT = Expected(Code.ABORTED, "PROVIDER_CONFLICT")
OVERLOADED = Expected(Code.UNAVAILABLE, "PROVIDER_OVERLOADED")

EXPECTED = {
    "html_200": PROTOCOL,
    "json_error_200": OVERLOADED,
    "json_not_a_completion_200": PROTOCOL,
    "empty_200": PROTOCOL,
    "status_204": PROTOCOL,
    "redirect_302": PROTOCOL,
    "gzip_body": PROTOCOL,
    "invalid_json_event": PROTOCOL,
    "invalid_json_event_after_content": interrupted("PROVIDER_PROTOCOL_ERROR"),
    "wrong_types_event": PROTOCOL,
    "deep_json_event": PROTOCOL,
    "invalid_utf8_event": PROTOCOL,
    "giant_line_3mib": PROTOCOL,
    "endless_event": PROTOCOL,
    "endless_stream": interrupted("PROVIDER_PROTOCOL_ERROR"),
    "reset_before_headers": ERROR,
    "fin_before_headers": ERROR,
    "reset_mid_stream": interrupted("PROVIDER_ERROR"),
    "fin_mid_chunk": interrupted("PROVIDER_ERROR"),
    "end_without_finish": interrupted("PROVIDER_ERROR"),
    "end_without_content": ERROR,
    "close_delimited_end_without_finish": interrupted("PROVIDER_ERROR"),
    "garbage_status_line": PROTOCOL,
    "garbage_after_content": interrupted("PROVIDER_PROTOCOL_ERROR"),
    "bad_chunk_size": PROTOCOL,
    "giant_header": PROTOCOL,
    "many_headers": PROTOCOL,
    "echo_key_http_400": REJECTED,
    "echo_key_http_401": CREDENTIALS,
    "echo_key_http_429": RATE,
    "echo_key_http_500": ERROR,
    "echo_key_in_html": ERROR,
    "echo_key_in_json_200": ERROR,
    "echo_key_in_stream_first": ERROR,
    "echo_key_in_stream_after_content": interrupted("PROVIDER_ERROR"),
    "echo_key_in_invalid_json": PROTOCOL,
    "echo_key_in_status_line": PROTOCOL,
    "echo_key_in_chunk_size": interrupted("PROVIDER_PROTOCOL_ERROR"),
    "in_stream_error_first": ERROR,
    "in_stream_error_after_content": interrupted("PROVIDER_ERROR"),
    "in_stream_error_event_first": REJECTED,
    "in_stream_error_event_after_content": interrupted("PROVIDER_REJECTED_REQUEST"),
    "in_stream_error_with_choices_after_content": interrupted("PROVIDER_ERROR"),
    "in_stream_rate_limit_first": RATE,
    "stall_before_headers": TIMEOUT,
    "headers_then_stall": TIMEOUT,
    "role_chunk_then_stall": TIMEOUT,
    "stall_mid_stream": interrupted("PROVIDER_TIMEOUT"),
    "drip_bytes": TIMEOUT,
    "drip_bytes_after_content": interrupted("PROVIDER_TIMEOUT"),
    "comments_forever": TIMEOUT,
    "comments_forever_after_content": interrupted("PROVIDER_TIMEOUT"),
    "empty_deltas_forever": TIMEOUT,
    "http_400_context_length_exceeded": CONTEXT,
    "http_400_exceed_context_size": CONTEXT,
    "http_400_unsupported_parameter": REJECTED,
    "http_400_content_policy": BLOCKED,
    "http_400_content_filter": BLOCKED,
    "http_413": TOO_LARGE,
    "http_415": REJECTED,
    "http_422": REJECTED,
    "http_401": CREDENTIALS,
    "http_402": QUOTA,
    "http_403": CREDENTIALS,
    "http_404_model_not_found": NOT_FOUND,
    "http_429_insufficient_quota": QUOTA,
    "http_429_rate_limit_exceeded": RATE,
    "http_429_retry_after_seconds": RATE,
    "http_429_retry_after_ms": RATE,
    "http_429_retry_after_http_date": RATE,
    "http_429_retry_after_negative": RATE,
    "http_429_retry_after_huge": RATE,
    "http_429_retry_after_junk": RATE,
    "http_408": TIMEOUT,
    "http_409": CONFLICT,
    "http_500": ERROR,
    "http_502": ERROR,
    "http_503": OVERLOADED,
    "http_503_loading_model": ERROR,
    "http_504": TIMEOUT,
    "http_520": ERROR,
    "http_529": OVERLOADED,
}
# Oddities that are no faults: the answer is whole.
SURVIVED = {"bad_content_type_json_for_stream", "truncated_tool_json", "negative_usage"}


class Ending:
    """What a caller saw of a stream: its messages, and its failure, if it failed."""

    def __init__(self) -> None:
        self.messages: list[pb.GenerateStreamResponse] = []
        self.failure: Failed | None = None


async def end_of(running: Running) -> Ending:
    ending = Ending()
    call = running.generation.GenerateStream(ask(), timeout=20)
    try:
        async for message in call:
            ending.messages.append(message)
    except grpc.aio.AioRpcError as error:
        ending.failure = Failed(error)
    finally:
        call.cancel()
    return ending


def test_the_table_has_every_fault() -> None:
    assert set(EXPECTED) | SURVIVED == set(FAULTS)


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_fault_gives_exactly_its_status(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = EXPECTED[name]
    caplog.set_level(logging.DEBUG)
    async with (
        Upstream(FAULTS[name]) as upstream,
        gateway_to(upstream.base_url, provider={"timeouts": TIMEOUTS}) as running,
    ):
        ending = await end_of(running)
        await running.server.calls.wait_idle()
    # The upstream is closed by now: whatever was open has been seen to close.
    failure = ending.failure
    assert failure is not None
    assert (failure.code, failure.reason) == (expected.code, expected.reason), failure.message
    assert failure.trailers["grpc-retry-pushback-ms"] == "-1"
    assert failure.trailers["x-request-id"]
    told = failure.failure
    assert told is not None
    assert told.response_id
    assert [attempt.provider for attempt in told.attempts] == ["up"]
    info = failure.detail(error_details_pb2.ErrorInfo)
    assert info.metadata.get("cause", "") == expected.cause
    if expected.cause:
        assert told.partial_output_sent
        assert text_of(ending.messages).startswith("a" if name == "endless_stream" else CONTENT)
    else:
        assert not told.partial_output_sent
        assert ending.messages == []
    assert len(bytes(failure.trailers["grpc-status-details-bin"])) <= 4096
    assert KEY not in failure.everything
    assert KEY not in caplog.text


@pytest.mark.parametrize("name", EXPECTED)
async def test_a_fault_of_a_unary_call_sends_nothing_but_its_status(name: str) -> None:
    expected = EXPECTED[name]
    async with (
        Upstream(FAULTS[name]) as upstream,
        gateway_to(upstream.base_url, provider={"timeouts": TIMEOUTS}) as running,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.generation.Generate(pb.GenerateRequest(input=question()), timeout=20)
        failure = Failed(caught.value)
    assert (failure.code, failure.reason) == (expected.code, expected.reason)
    assert failure.failure is not None
    assert not failure.failure.partial_output_sent
    assert KEY not in failure.everything


@pytest.mark.parametrize("name", sorted(SURVIVED))
async def test_an_oddity_is_no_fault(name: str) -> None:
    async with (
        Upstream(FAULTS[name]) as upstream,
        gateway_to(upstream.base_url, provider={"timeouts": TIMEOUTS}) as running,
    ):
        ending = await end_of(running)
    assert ending.failure is None
    last = ending.messages[-1]
    assert last.HasField("finish")
    assert last.usage.output_token_count >= 0


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("http_429_retry_after_seconds", True),
        ("http_429_retry_after_ms", True),
        ("http_429_retry_after_negative", False),
        ("http_429_retry_after_junk", False),
        ("http_429_insufficient_quota", False),
    ],
)
async def test_a_delay_that_the_provider_asks_for_reaches_the_caller(
    name: str, *, seconds: bool
) -> None:
    async with Upstream(FAULTS[name]) as upstream, gateway_to(upstream.base_url) as running:
        ending = await end_of(running)
    assert ending.failure is not None
    retry = ending.failure.detail(error_details_pb2.RetryInfo)
    assert (retry is not None and retry.retry_delay.ToMilliseconds() > 0) is seconds


async def test_a_refused_connection_is_a_provider_error() -> None:
    with closed_port() as port:
        async with gateway_to(f"http://127.0.0.1:{port}/v1") as running:
            ending = await end_of(running)
    assert ending.failure is not None
    assert (ending.failure.code, ending.failure.reason) == (ERROR.code, ERROR.reason)


async def test_a_black_hole_ends_by_the_connect_timer() -> None:
    with black_hole() as port:
        async with gateway_to(
            f"http://127.0.0.1:{port}/v1", provider={"timeouts": TIMEOUTS}
        ) as running:
            ending = await end_of(running)
    assert ending.failure is not None
    assert (ending.failure.code, ending.failure.reason) == (TIMEOUT.code, TIMEOUT.reason)


async def test_a_host_that_does_not_exist_is_a_provider_error() -> None:
    async with gateway_to("http://nowhere.invalid/v1") as running:
        ending = await end_of(running)
    assert ending.failure is not None
    assert (ending.failure.code, ending.failure.reason) == (ERROR.code, ERROR.reason)


async def test_a_model_that_a_route_names_in_vain_is_not_the_callers_fault() -> None:
    async with (
        Upstream(FAULTS["http_404_model_not_found"]) as upstream,
        gateway_to(upstream.base_url, routes={"chat": {"targets": ["up/tiny"]}}) as running,
    ):
        call = running.generation.GenerateStream(ask(model="chat"))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    failure = Failed(caught.value)
    assert (failure.code, failure.reason) == (Code.INTERNAL, "ROUTE_MISCONFIGURED")


async def test_a_gateway_in_debug_mode_logs_no_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echoing = [name for name in FAULTS if name.startswith("echo_key")]
    async with Upstream() as upstream, gateway_to(upstream.base_url) as running:
        for name in echoing:
            upstream.script = FAULTS[name]
            await end_of(running)
    assert all(r.headers["authorization"] == f"Bearer {KEY}" for r in upstream.requests)
    assert len(upstream.requests) == len(echoing)
    assert KEY not in caplog.text
