"""The shared HTTP engine under the openai_chat dialect: heads, bodies, ends, cancels."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderStream
from llmgateway_server.providers.eventstream import MAX_EVENT_BYTES
from support.chat_provider import (
    KEY,
    NOW,
    ScriptedBody,
    ScriptedTransport,
    provider_over,
    response,
)
from support.chat_stream import DONE, STOP, USAGE, sse, text

ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))
JSON = {"content-type": "application/json"}
ANSWER = [TextDelta(0, "Hi"), Usage(input_token_count=9, output_token_count=4)]
FINISH = Finish(FinishReason.STOP, "stop")


async def opened(
    body: ScriptedBody, status: int = 200, headers: Mapping[str, str] | None = None
) -> ProviderStream:
    transport = ScriptedTransport(response(body, status, headers))
    return await provider_over(transport).open(ASK, "tiny", Timers())


async def read_all(stream: ProviderStream) -> list[ProviderEvent]:
    events: list[ProviderEvent] = []
    while not events or not isinstance(events[-1], Finish):
        events += await stream.read()
    return events


async def refused(
    status: int, body: object = b"", headers: Mapping[str, str] | None = None
) -> GatewayError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(GatewayError) as raised:
        await opened(ScriptedBody([data]), status, headers)
    return raised.value


async def test_the_request_is_one_post_with_the_key_and_the_timers() -> None:
    transport = ScriptedTransport(response(ScriptedBody([])))
    await provider_over(transport).open(ASK, "tiny", Timers(connect=3.0, pool=0.5))
    (request,) = transport.requests
    assert (request.method, str(request.url)) == ("POST", "https://up.example/v1/chat/completions")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["content-type"] == "application/json"
    assert request.extensions["timeout"] == {"connect": 3.0, "pool": 0.5}
    assert json.loads(request.content)["stream"] is True


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_retry_can_have_a_connection_that_nobody_used(*, fresh: bool) -> None:
    transport = ScriptedTransport(response(ScriptedBody([])))
    await provider_over(transport).open(ASK, "tiny", Timers(), fresh=fresh)
    assert transport.requests[0].extensions["fresh"] is fresh


async def test_a_server_without_a_key_is_sent_none() -> None:
    transport = ScriptedTransport(response(ScriptedBody([])))
    await provider_over(transport, key="").open(ASK, "tiny", Timers())
    assert "authorization" not in transport.requests[0].headers


@pytest.mark.parametrize("key", ["sk-1\n", "sk-\u2019quoted\u2019", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match=r"providers\.up\.api_key") as raised:
        provider_over(ScriptedTransport(None), key=key)
    assert "sk-" not in str(raised.value)


async def test_a_model_that_cannot_stream_is_asked_for_one_body() -> None:
    completion = {
        "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}],
    }
    body = ScriptedBody([json.dumps({**USAGE, **completion}).encode()])
    transport = ScriptedTransport(response(body, headers=JSON))
    provider = provider_over(transport, models_without_streaming=frozenset({"tiny"}))
    stream = await provider.open(ASK, "tiny", Timers())
    assert await read_all(stream) == [*ANSWER, FINISH]
    assert stream.usage == ANSWER[1]
    assert "stream" not in json.loads(transport.requests[0].content)


async def test_a_stream_is_read_to_its_finish_and_its_connection_kept() -> None:
    body = ScriptedBody([b": ping\n\n", sse(text("Hi")), sse(STOP, USAGE), DONE], stalls=True)
    stream = await opened(body, headers={"x-request-id": "req-7"})
    assert stream.request_id == "req-7"
    assert await stream.read() == []
    assert await stream.read() == [TextDelta(0, "Hi")]
    assert await stream.read() == []
    assert stream.usage == ANSWER[1]
    assert await stream.read() == [ANSWER[1], FINISH]
    assert (body.finished, body.closed) == (1, 0)


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain; charset=utf-8", "", "application/problem+json"]
)
@pytest.mark.parametrize("whole", [True, False])
async def test_a_label_that_fits_both_is_not_trusted(kind: str, *, whole: bool) -> None:
    message = {"message": {"content": "Hi"}, "finish_reason": "stop"}
    completion = json.dumps({**USAGE, "choices": [message]}, indent=1).encode()
    data = completion if whole else sse(text("Hi"), STOP, USAGE) + DONE
    pieces = [b"\xef\xbb", b"\xbf\n", *(data[at : at + 7] for at in range(0, len(data), 7))]
    stream = await opened(ScriptedBody(pieces), headers={"content-type": kind})
    assert await read_all(stream) == [*ANSWER, FINISH]


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"content-type": "text/html; charset=utf-8"}),
        (200, {"content-type": "image/png"}),
        (200, {"content-encoding": "gzip"}),
        (201, {}),
        (204, {}),
        (302, {"location": "https://elsewhere.example/"}),
        (304, {}),
    ],
)
async def test_an_answer_that_is_none_is_not_even_read(
    status: int, headers: dict[str, str]
) -> None:
    body = ScriptedBody([b"data"])
    with pytest.raises(GatewayError) as raised:
        await opened(body, status, headers)
    assert raised.value.reason is Reason.PROVIDER_PROTOCOL_ERROR
    assert raised.value.attempts[0].http_status == status
    assert (body.reads, body.closed) == (0, 1)


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [b"\n \n"],
        [b'{"status": "ok"}'],
        [b"[]"],
        [b"Sign in, please"],
        [b"{" + b" " * 5_000_000],
    ],
)
async def test_a_200_that_holds_no_answer_is_a_protocol_error(steps: list[bytes]) -> None:
    body = ScriptedBody(steps)
    stream = await opened(body, headers=JSON)
    with pytest.raises(GatewayError) as raised:
        await read_all(stream)
    assert raised.value.reason is Reason.PROVIDER_PROTOCOL_ERROR
    assert body.closed == 1


async def test_an_endless_body_is_cut_at_its_bound() -> None:
    body = ScriptedBody([b"{", *[b" " * 2**20] * 9])
    stream = await opened(body, headers=JSON)
    with pytest.raises(GatewayError):
        await read_all(stream)
    assert body.reads <= MAX_EVENT_BYTES / 2**20 + 2


async def test_what_came_before_a_failure_is_delivered_before_it() -> None:
    body = ScriptedBody([sse(text("Hi"), {"error": {"code": 429, "message": "Slow"}})], stalls=True)
    stream = await opened(body, headers={"x-request-id": "req-7", "retry-after": "13"})
    assert await stream.read() == [TextDelta(0, "Hi")]
    assert body.closed == 1
    with pytest.raises(GatewayError) as raised:
        await stream.read()
    error = raised.value
    assert (error.reason, error.message) == (Reason.PROVIDER_RATE_LIMITED, "up: Slow")
    assert error.attempts == (AttemptFailure("up", "tiny", 200, "429", "req-7"),)
    # On a 2xx the header means nothing; Hugging Face sends it with every answer.
    assert error.retry_after is None


async def test_an_end_without_a_reason_is_a_provider_error() -> None:
    stream = await opened(ScriptedBody([sse(text("Hi"))]))
    assert await stream.read() == [TextDelta(0, "Hi")]
    with pytest.raises(GatewayError) as raised:
        await stream.read()
    assert raised.value.reason is Reason.PROVIDER_ERROR


TRANSPORT_ERRORS = [
    (httpx.PoolTimeout, Reason.PROVIDER_TIMEOUT),
    (httpx.ConnectTimeout, Reason.PROVIDER_TIMEOUT),
    (httpx.ReadTimeout, Reason.PROVIDER_TIMEOUT),
    (httpx.ConnectError, Reason.PROVIDER_ERROR),
    (httpx.ReadError, Reason.PROVIDER_ERROR),
    (httpx.WriteError, Reason.PROVIDER_ERROR),
    # Not HTTP, or beyond the bounds of its headers.
    (httpx.RemoteProtocolError, Reason.PROVIDER_PROTOCOL_ERROR),
    # Compressed.
    (httpx.DecodingError, Reason.PROVIDER_PROTOCOL_ERROR),
]

# Before these nothing of the request has left; after any other it may have been worked on.
UNSENT = {httpx.PoolTimeout, httpx.ConnectTimeout, httpx.ConnectError}


@pytest.mark.parametrize(("kind", "reason"), TRANSPORT_ERRORS)
async def test_a_broken_exchange_has_its_reason_and_none_of_its_words(
    kind: type[httpx.RequestError], reason: Reason
) -> None:
    failure = kind(f"https://up.example/?key={KEY}")
    with pytest.raises(GatewayError) as raised:
        await provider_over(ScriptedTransport(failure)).open(ASK, "tiny", Timers())
    assert raised.value.reason is reason
    assert raised.value.attempts == (AttemptFailure("up", "tiny"),)
    assert raised.value.unsent is (kind in UNSENT)
    body = ScriptedBody([sse(text("Hi")), failure])
    stream = await opened(body)
    await stream.read()
    with pytest.raises(GatewayError) as read:
        await stream.read()
    assert read.value.reason is reason
    assert body.closed == 1
    for error in (raised.value, read.value):
        assert "up.example" not in error.message
        assert error.__suppress_context__


async def test_a_wait_is_read_by_the_providers_own_clock() -> None:
    headers = {"retry-after": formatdate(NOW + 90, usegmt=True)}
    assert (await refused(429, headers=headers)).retry_after == 90.0


@pytest.mark.parametrize(
    ("word", "expected"),
    [("true", True), ("false", False), ("False ", False), ("maybe", None), (None, None)],
)
async def test_the_providers_word_on_trying_again_is_kept(
    word: str | None, expected: bool | None
) -> None:
    headers = {} if word is None else {"x-should-retry": word}
    error = await refused(400, headers=headers)
    assert error.should_retry is expected
    assert error.unsent is False


async def test_what_is_no_refusal_is_not_read_for_a_word_on_trying_again() -> None:
    headers = {"x-should-retry": "true", "retry-after": "7"}
    error = await refused(302, headers=headers)
    assert (error.should_retry, error.retry_after) == (None, None)


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({"apim-request-id": "az", "x-request-id": "x"}, "x"),
        ({"apim-request-id": "az"}, "az"),
        ({"x-generation-id": "gen"}, "gen"),
        ({"mistral-correlation-id": "mis"}, "mis"),
        ({"x-request-id": "a\tb" + "c" * 300}, "ab" + "c" * 126),
    ],
)
async def test_the_providers_request_id_is_found_and_bounded(
    headers: dict[str, str], request_id: str
) -> None:
    assert (await refused(500, headers=headers)).attempts[0].provider_request_id == request_id


@pytest.mark.parametrize(
    "steps",
    [
        [b'{"error": "', b"x" * 70_000, b'"}'],
        [b'{"error": "half', httpx.ReadError("reset")],
    ],
)
async def test_an_error_that_does_not_end_well_is_told_by_its_status(
    steps: Sequence[bytes | Exception],
) -> None:
    body = ScriptedBody(steps)
    with pytest.raises(GatewayError) as raised:
        await opened(body, 429)
    assert raised.value.reason is Reason.PROVIDER_RATE_LIMITED
    assert raised.value.message == "up answered 429: no reason given"
    assert body.closed == 1


async def test_words_are_cut_to_what_the_contract_allows() -> None:
    error = await refused(400, {"error": {"message": "a \n\t\x00" + "b" * 9000, "code": "c" * 900}})
    assert error.message == "up answered 400: a " + "b" * 510
    assert error.attempts[0].provider_code == "c" * 128


async def test_blocked_content_says_who_blocked_it() -> None:
    error = await refused(400, {"error": {"code": "content_filter", "message": "m"}})
    assert error.metadata == (("blocked_by", "up"),)


async def test_a_cancel_while_opening_passes_through() -> None:
    transport = ScriptedTransport(None)
    provider = provider_over(transport)
    task = asyncio.create_task(provider.open(ASK, "tiny", Timers()))
    await transport.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("status", [200, 500])
async def test_a_cancel_while_reading_cuts_the_upstream_at_once(status: int) -> None:
    body = ScriptedBody([], stalls=True)

    async def exchange() -> Any:
        return await (await opened(body, status)).read()

    task = asyncio.create_task(exchange())
    await body.stalling.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert body.closed == 1


async def test_closing_twice_is_harmless_and_closing_a_provider_closes_its_transport() -> None:
    body = ScriptedBody([])
    transport = ScriptedTransport(response(body))
    provider = provider_over(transport)
    stream = await provider.open(ASK, "tiny", Timers())
    stream.close()
    stream.close()
    await provider.shutdown()
    assert transport.closed
