"""The engine that every dialect shares: one HTTP exchange, watched from its head to its finish.

A dialect knows words; what HTTP says about an answer (status, content type, a connection that
breaks) is judged here, once for all of them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol, cast

import httpx

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderStream
from llmgateway_server.providers.dialect import Decoder, Dialect, Failure, ProviderSettings
from llmgateway_server.providers.errors import (
    ErrorReport,
    request_id,
    retry_after,
    transport_failure,
)
from llmgateway_server.providers.http import HttpTransport
from llmgateway_server.providers.whole_body import EitherBody, WholeBody

# The text of an error is 512 characters in the end; what is longer is no error message.
_MAX_ERROR_BODY: Final = 64 * 1024
# Said of streams and of bodies alike.
_UNDECIDED_TYPES: Final = frozenset({"", "application/json", "text/plain"})


class ResponseStream(Protocol):
    """A response's body as `HttpTransport` gives it; see `http.ResponseBody`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """All that arrived since the last step, at each step."""

    def close(self) -> None:
        """Cuts the upstream off, now."""

    def finish(self) -> None:
        """Lets the rest arrive unread, so that the connection can be used again."""


class HttpProvider:
    """A provider behind HTTP, speaking one dialect."""

    def __init__(
        self,
        settings: ProviderSettings,
        dialect: Dialect,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Prepares URL and headers; nothing is connected before the first call.

        Args:
            settings: where and who; `options` is the dialect's own affair.
            dialect: the words.
            transport: what sends requests; its responses' streams are `ResponseStream`s.
            now: Unix time in seconds, for a Retry-After that is a date.

        Raises:
            ValueError: the key holds a character that no HTTP header can carry.
        """
        key = settings.api_key() if settings.api_key else ""
        if not key.isascii() or not key.isprintable():
            raise ValueError(
                f"providers.{settings.name}.api_key: the key holds a line break or another "
                "character that no HTTP header can carry"
            )
        self._dialect = dialect
        self._plain_models = settings.models_without_streaming
        self._report = ErrorReport(settings.name, key)
        self._transport = transport or HttpTransport(
            connections=settings.connections, idle=settings.idle
        )
        self._now = now
        base = settings.base_url.rstrip("/")
        host = httpx.URL(base).netloc.decode("ascii")
        # One path for most dialects; some put the model into it.
        self._url = functools.lru_cache(maxsize=256)(lambda path: httpx.URL(base + path))
        self._headers = httpx.Headers(
            [
                ("host", host),
                ("accept", "text/event-stream, application/json"),
                ("accept-encoding", "identity"),
                ("content-type", "application/json"),
                ("user-agent", "llmgateway"),
                *dialect.headers(key),
            ]
        )

    async def open(self, request: GenerationRequest, model: str, timers: Timers) -> ProviderStream:
        """Sends the request; see the port."""
        call = self._dialect.build(request, model, stream=model not in self._plain_models)
        outgoing = httpx.Request(
            "POST",
            self._url(call.path),
            headers=self._headers,
            # As `content` it would have httpx look for the headers that are all here.
            stream=httpx.ByteStream(call.body),
            extensions={"timeout": {"connect": timers.connect, "pool": timers.pool}},
        )
        try:
            response = await self._transport.handle_async_request(outgoing)
        except httpx.RequestError as error:
            # None: the cause's text may name the URL, and tracebacks are logged.
            raise self._report.error(transport_failure(error), model) from None
        body = cast("ResponseStream", response.stream)
        try:
            if response.status_code == 200:
                return self._answer(response, body, model)
            refusal = await self._refusal(response, body, model)
        except BaseException:
            body.close()
            raise
        body.close()
        raise refusal

    async def aclose(self) -> None:
        """Closes the connections; see the port."""
        await self._transport.aclose()

    def _answer(self, response: httpx.Response, body: ResponseStream, model: str) -> ProviderStream:
        headers = _plain(response.headers)
        provider_id = request_id(headers)
        report = functools.partial(
            self._report.error, model=model, status=200, request_id=provider_id
        )
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            # Decoding it would let a few bytes become any number of them.
            raise report(_unreadable("its answer is compressed, which was not asked for"))
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/event-stream":
            decoder = self._dialect.decoder()
        elif kind in _UNDECIDED_TYPES or kind.endswith("+json"):
            decoder = EitherBody(WholeBody(self._dialect.decode_body), self._dialect.decoder)
        else:
            raise report(_unreadable(f"it answered with {kind[:64]} instead of a completion"))
        return _HttpStream(body, decoder, self._report.label(provider_id), report)

    async def _refusal(
        self, response: httpx.Response, body: ResponseStream, model: str
    ) -> GatewayError:
        status = response.status_code
        if status < 400:
            failure = _unreadable(f"it answered {status}, which is no completion")
            wait = None
        else:
            failure = self._dialect.failure(status, await _error_body(body))
            wait = retry_after(response.headers, self._now())
        return self._report.error(
            failure,
            model,
            status=status,
            request_id=request_id(response.headers),
            retry_after=wait,
        )


class _HttpStream:
    """An answer that is being received."""

    def __init__(
        self,
        body: ResponseStream,
        decoder: Decoder,
        answer_id: str,
        report: Callable[[Failure], GatewayError],
    ) -> None:
        self.request_id = answer_id
        self._body = body
        self._next_chunk = aiter(body).__anext__
        self._decoder = decoder
        self._report = report
        self._error: GatewayError | None = None

    @property
    def usage(self) -> Usage | None:
        return self._decoder.usage

    async def read(self) -> Sequence[ProviderEvent]:
        if self._error is not None:
            raise self._error
        data: bytes | None = None
        try:
            data = await self._next_chunk()
        except StopAsyncIteration:
            pass
        except httpx.RequestError as error:
            self._body.close()
            raise self._report(transport_failure(error)) from None
        except BaseException:
            self._body.close()
            raise
        decoder = self._decoder
        events = decoder.end() if data is None else decoder.feed(data)
        failure = decoder.failure
        if failure is not None:
            self._body.close()
            # What came before the failure is delivered; the next read tells of the failure.
            self._error = self._report(failure)
            if not events:
                raise self._error
        elif events and isinstance(events[-1], Finish):
            self._body.finish()
        return events

    def close(self) -> None:
        self._body.close()


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """The headers by their names in lower case; a look-up in httpx's own is a search."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in headers.raw}


def _unreadable(message: str) -> Failure:
    return Failure(Reason.PROVIDER_PROTOCOL_ERROR, message)


async def _error_body(body: ResponseStream) -> bytes:
    """What an error says; nothing where that breaks off or is too long.

    Half a body is none: a key that it quotes may be cut in half with it, and would then not be
    recognised. The status alone says enough.
    """
    received = bytearray()
    try:
        async for data in body:
            received += data
            if len(received) > _MAX_ERROR_BODY:
                return b""
    except httpx.RequestError:
        return b""
    return bytes(received)
