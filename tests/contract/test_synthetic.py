"""Synthetic cases: what vendors document and users report, and nobody's recording holds.

Nothing here was recorded. Each case says where its shape is from; all go through the real HTTP
client to the dialect that has to understand them.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers import anthropic, gemini, openai_chat, openai_responses
from llmgateway_server.providers.dialect import DialectPlugin
from support import chat_stream, gemini_stream, message_stream, responses_stream
from support.upstream import Conn, Upstream

QUESTION = GenerationRequest("", (Message(Role.USER, (TextPart("Hello"),)),))
PLUGINS: dict[str, DialectPlugin] = {
    "openai_chat": openai_chat.DIALECT,
    "openai_responses": openai_responses.DIALECT,
    "anthropic": anthropic.DIALECT,
    "gemini": gemini.DIALECT,
}
COUNTED = Usage(input_token_count=9, output_token_count=4)
# The same answer in every dialect, one line of data an event.
STREAMS = {
    "openai_chat": chat_stream.sse(chat_stream.text("Hällo"), chat_stream.STOP, chat_stream.USAGE)
    + chat_stream.DONE,
    "openai_responses": responses_stream.sse(
        responses_stream.text("Hällo"),
        responses_stream.completed(usage={"input_tokens": 9, "output_tokens": 4}),
        named=True,
    ),
    "anthropic": message_stream.sse(
        message_stream.message_start(input_tokens=9, output_tokens=1),
        *message_stream.text_block(0, "Hällo"),
        *message_stream.message_end(output_tokens=4),
    ),
    "gemini": gemini_stream.sse(
        gemini_stream.chunk(
            gemini_stream.text("Hällo"), finish="STOP", usageMetadata=gemini_stream.USAGE
        )
    ),
}


async def received(
    dialect: str,
    body: bytes,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> tuple[list[ProviderEvent], GatewayError | None]:
    """What a provider of this dialect makes of one answer."""

    async def answer(conn: Conn) -> None:
        await conn.respond(status, body, {"content-type": "text/event-stream", **(headers or {})})

    plugin = PLUGINS[dialect]
    events: list[ProviderEvent] = []
    async with Upstream(answer) as upstream:
        settings = ProviderSettings("up", upstream.base_url, lambda: "k", plugin.options())
        provider = plugin.create(settings)
        try:
            stream = await provider.open(QUESTION, "m", Timers())
            while not events or not isinstance(events[-1], Finish):
                events += await stream.read()
        except GatewayError as error:
            return events, error
        finally:
            await provider.shutdown()
    return events, None


def multi_line(stream: bytes) -> bytes:
    """Every event's JSON over several lines of data (WHATWG, "Interpreting an event stream")."""
    lines = []
    for line in stream.replace(b"\r\n", b"\n").split(b"\n"):
        name, _, value = line.partition(b": ")
        if name == b"data" and value.startswith(b"{"):
            spread = json.dumps(json.loads(value), indent=1, ensure_ascii=False).encode()
            lines += [b"data: " + part for part in spread.split(b"\n")]
        else:
            lines.append(line)
    return b"\n".join(lines)


FRAMINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "bom": lambda stream: b"\xef\xbb\xbf" + stream,
    "multi-line": multi_line,
    "lf": lambda stream: stream.replace(b"\r\n", b"\n"),
    "crlf": lambda stream: stream.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "cr": lambda stream: stream.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "no-space": lambda stream: stream.replace(b"data: ", b"data:"),
    "comments": lambda stream: b": hi\n\n" + stream.replace(b"data:", b":\nid: 7\nretry: 9\ndata:"),
    "no-last-line-end": lambda stream: stream.rstrip(b"\r\n"),
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("dialect", PLUGINS)
async def test_an_event_stream_is_read_in_all_its_forms(dialect: str, framing: str) -> None:
    events, error = await received(dialect, FRAMINGS[framing](STREAMS[dialect]))
    assert error is None
    text, usage, finish = merge(events)
    assert (text, usage) == (TextDelta(0, "Hällo"), COUNTED)
    assert isinstance(finish, Finish)


class Refusal(NamedTuple):
    """An error that comes with its status, from the shape that its vendor documents."""

    dialect: str
    status: int
    body: Any
    reason: Reason
    headers: Mapping[str, str] = {}
    wait: float | None = None
    should_retry: bool | None = None


def openai_error(kind: str | None, code: str | None, message: str = "m") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic_error(kind: str, message: str = "m") -> Any:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def google_error(code: int, status: str, *details: Any, message: str = "m") -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48s"}
PAGE = b"<html><body>502 Bad Gateway</body></html>"
REFUSALS = [
    # https://platform.openai.com/docs/guides/error-codes
    *(
        refusal
        for dialect in ("openai_chat", "openai_responses")
        for refusal in (
            Refusal(dialect, 500, openai_error("server_error", None), Reason.PROVIDER_ERROR),
            Refusal(
                dialect,
                503,
                openai_error("server_error", None, "The engine is currently overloaded"),
                Reason.PROVIDER_OVERLOADED,
                {"x-should-retry": "true"},
                should_retry=True,
            ),
            Refusal(
                dialect,
                429,
                openai_error("tokens", "rate_limit_exceeded"),
                Reason.PROVIDER_RATE_LIMITED,
                {
                    "retry-after-ms": "1250",
                    "retry-after": "2",
                    "x-ratelimit-remaining-tokens": "0",
                    "x-ratelimit-reset-tokens": "1m12s",
                },
                wait=1.25,
            ),
            Refusal(
                dialect,
                400,
                openai_error("invalid_request_error", "context_length_exceeded"),
                Reason.CONTEXT_LENGTH_EXCEEDED,
            ),
        )
    ),
    # https://platform.claude.com/docs/en/api/errors; the 529 as users report it.
    Refusal("anthropic", 500, anthropic_error("api_error"), Reason.PROVIDER_ERROR),
    Refusal("anthropic", 504, anthropic_error("timeout_error"), Reason.PROVIDER_TIMEOUT),
    Refusal(
        "anthropic",
        529,
        {
            "type": "error",
            "error": {"details": None, "type": "overloaded_error", "message": "Overloaded"},
            "request_id": "req_1",
        },
        Reason.PROVIDER_OVERLOADED,
        {"x-should-retry": "true"},
        should_retry=True,
    ),
    Refusal("anthropic", 402, anthropic_error("billing_error"), Reason.PROVIDER_QUOTA_EXHAUSTED),
    # From the network before Anthropic, with a page of its own.
    Refusal("anthropic", 413, PAGE, Reason.REQUEST_TOO_LARGE),
    Refusal(
        "anthropic",
        429,
        anthropic_error("rate_limit_error"),
        Reason.PROVIDER_RATE_LIMITED,
        {"retry-after": "31", "anthropic-ratelimit-requests-remaining": "0"},
        wait=31.0,
    ),
    Refusal(
        "anthropic",
        400,
        anthropic_error("invalid_request_error"),
        Reason.PROVIDER_REJECTED_REQUEST,
        {"x-should-retry": "false"},
        should_retry=False,
    ),
    # https://ai.google.dev/gemini-api/docs/troubleshooting
    Refusal("gemini", 500, google_error(500, "INTERNAL"), Reason.PROVIDER_ERROR),
    Refusal(
        "gemini",
        503,
        google_error(503, "UNAVAILABLE", message="The model is overloaded."),
        Reason.PROVIDER_OVERLOADED,
    ),
    Refusal("gemini", 504, google_error(504, "DEADLINE_EXCEEDED"), Reason.PROVIDER_TIMEOUT),
    Refusal(
        "gemini",
        429,
        [google_error(429, "RESOURCE_EXHAUSTED", RETRY_INFO)],
        Reason.PROVIDER_RATE_LIMITED,
        wait=48.0,
    ),
    # Proxies before anybody; https://developers.cloudflare.com/support/troubleshooting/http-status-codes/
    *(Refusal(dialect, 502, PAGE, Reason.PROVIDER_ERROR) for dialect in PLUGINS),
    *(Refusal(dialect, 524, b"error code: 524", Reason.PROVIDER_ERROR) for dialect in PLUGINS),
    *(Refusal(dialect, 503, b"", Reason.PROVIDER_ERROR) for dialect in PLUGINS),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda r: f"{r.dialect}-{r.status}")
async def test_a_refusal_is_classified_and_says_when_to_come_back(refusal: Refusal) -> None:
    body = refusal.body if isinstance(refusal.body, bytes) else json.dumps(refusal.body).encode()
    headers = {"content-type": "application/json", **refusal.headers}
    events, error = await received(refusal.dialect, body, status=refusal.status, headers=headers)
    assert events == []
    assert error is not None
    assert (error.reason, error.retry_after) == (refusal.reason, refusal.wait)
    assert error.should_retry is refusal.should_retry
    assert error.attempts[0].http_status == refusal.status
    assert "<html>" not in error.message


FAILING_STREAMS = {
    # https://platform.claude.com/docs/en/build-with-claude/streaming#error-events
    "anthropic": (
        message_stream.sse(
            message_stream.message_start(input_tokens=9),
            *message_stream.text_block(0, "Hällo")[:2],
        )
        + b"event: error\ndata: "
        + json.dumps(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
        ).encode()
        + b"\n\n",
        Reason.PROVIDER_OVERLOADED,
        None,
    ),
    # As vLLM's source has it: the error as a chunk, and [DONE] all the same.
    "openai_chat": (
        chat_stream.sse(
            chat_stream.text("Hällo"),
            {"error": {"message": "m", "type": "InternalServerError", "param": None, "code": 500}},
        )
        + chat_stream.DONE,
        Reason.PROVIDER_ERROR,
        None,
    ),
    # The documented, flat form; the recorded ones are nested.
    "openai_responses": (
        responses_stream.sse(responses_stream.text("Hällo"))
        + b'event: error\ndata: {"type":"error","code":"server_error","message":"m","param":null}'
        + b"\n\n",
        Reason.PROVIDER_ERROR,
        None,
    ),
    # As Google's own SDK looks for it: a chunk whose only key is `error`.
    "gemini": (
        gemini_stream.sse(
            gemini_stream.chunk(gemini_stream.text("Hällo")),
            google_error(429, "RESOURCE_EXHAUSTED", RETRY_INFO),
        ),
        Reason.PROVIDER_RATE_LIMITED,
        48.0,
    ),
}


@pytest.mark.parametrize("dialect", PLUGINS)
async def test_an_error_in_the_stream_ends_it_after_what_came_before(dialect: str) -> None:
    stream, reason, wait = FAILING_STREAMS[dialect]
    # What a header says of waiting means nothing beside a 200.
    events, error = await received(dialect, stream, headers={"retry-after": "13"})
    assert merge(events) == [TextDelta(0, "Hällo")]
    assert error is not None
    assert (error.reason, error.retry_after) == (reason, wait)
    assert error.attempts[0].http_status == 200
