"""One HTTP exchange with a provider, judged from its head: status, content type, what breaks.

A dialect knows words; what HTTP says about an answer is judged here, once for all of them.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol, TypeVar, cast

import httpx
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.dialect import Dialect, Failure, HttpCall, WireError
from llmgateway_server.providers.errors import (
    ErrorReport,
    request_id,
    retry_after,
    should_retry,
    transport_failure,
)
from llmgateway_server.providers.http import StaleConnectionError

# The text of an error is 512 characters in the end; what is longer is no error message.
_MAX_ERROR_BODY: Final = 64 * 1024

# 2,048 vectors of 3,072 numbers, written as JSON.
_MAX_BODY: Final = 128 * 1024 * 1024

T = TypeVar("T")


class ResponseStream(Protocol):
    """A response's body as `HttpTransport` gives it; see `http.ResponseBody`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """All that arrived since the last step, at each step."""

    def close(self) -> None:
        """Cuts the upstream off, now."""

    def finish(self) -> None:
        """Lets the rest arrive unread, so that the connection can be used again."""


class Answer:
    """A response of status 200 whose body is still to come.

    Attributes:
        body: To be closed, or finished.
        headers: By their names in lower case.
        request_id: The provider's, fit to be shown; empty where no header names it.
        report: Makes the error of a failure in the body.
        label: Makes an id fit to be shown.
    """

    def __init__(
        self,
        body: ResponseStream,
        headers: dict[str, str],
        report: Callable[[Failure], GatewayError],
        label: Callable[[str], str],
    ) -> None:
        self.body = body
        self.headers = headers
        self.request_id = label(request_id(headers))
        self.report = report
        self.label = label

    @property
    def kind(self) -> str:
        """The media type, in lower case and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Exchanges:
    """Exchanges under one configuration of a provider: its address, headers, words."""

    def __init__(
        self,
        settings: ProviderSettings,
        dialect: Dialect,
        transport: httpx.AsyncBaseTransport,
        now: Callable[[], float],
    ) -> None:
        """Prepares URL and headers.

        Raises:
            ValueError: the key holds a character that no HTTP header can carry.
        """
        key = settings.api_key() if settings.api_key else ""
        if not key.isascii() or not key.isprintable():
            raise ValueError(
                f"providers.{settings.name}.api_key: the key holds a line break or another "
                "character that no HTTP header can carry"
            )
        self.settings = settings
        self.dialect = dialect
        self.transport = transport
        # Callers choose the names, so the memory for them is bounded.
        self.capabilities = functools.lru_cache(maxsize=1024)(self._capabilities)
        self._now = now
        self._report = ErrorReport(settings.name, key)
        base = settings.base_url.rstrip("/")
        # One path for most dialects; some put the model into it.
        self._url = functools.lru_cache(maxsize=256)(lambda path: httpx.URL(base + path))
        self._headers = httpx.Headers(
            [
                ("host", httpx.URL(base).netloc.decode("ascii")),
                ("accept", "text/event-stream, application/json"),
                ("accept-encoding", "identity"),
                ("content-type", "application/json"),
                ("user-agent", "llmgateway"),
                *dialect.headers(key),
            ]
        )

    async def send(
        self, call: HttpCall, model: str, timers: Timers, *, fresh: bool = False
    ) -> Answer:
        """Sends a call and returns once the head of a good answer has arrived.

        Args:
            call: What to send.
            model: For the error of a failure.
            timers: Of which `connect` and `pool` are applied.
            fresh: On a connection that nobody has used.

        Raises:
            GatewayError: the way there failed, or the provider refused.
        """
        try:
            try:
                response = await self._request(call, timers, fresh=fresh)
            except StaleConnectionError:
                # No attempt: the server had closed the connection before it took the request, and
                # answered nothing. Go's net/http does the same.
                response = await self._request(call, timers, fresh=True)
        except httpx.RequestError as error:
            # None: the cause's text may name the URL, and tracebacks are logged.
            raise self._report.error(transport_failure(error), model) from None
        body = cast("ResponseStream", response.stream)
        try:
            headers = _plain(response.headers)
            if response.status_code == 200:
                return self._answer(body, headers, model)
            refusal = await self._refusal(response.status_code, headers, body, model)
        except BaseException:
            body.close()
            raise
        body.close()
        raise refusal

    async def fetch(
        self, call: HttpCall, model: str, timers: Timers, read: Callable[[bytes], T]
    ) -> tuple[T, str]:
        """What `read` makes of a good answer's whole body, and the provider's request id.

        Raises:
            GatewayError: as `send`, or the body broke off, is too long, or is not readable.
        """
        answer = await self.send(call, model, timers)
        received = bytearray()
        try:
            async for data in answer.body:
                received += data
                if len(received) > _MAX_BODY:
                    raise answer.report(_unreadable("its answer is longer than allowed"))
            return read(bytes(received)), answer.request_id
        except httpx.RequestError as error:
            raise answer.report(transport_failure(error)) from None
        except WireError as error:
            raise answer.report(error.failure) from None
        finally:
            answer.body.close()

    def _capabilities(self, model: str) -> Capabilities:
        """What is known of a model on this wire."""
        known, refused = self.settings.capabilities(model), self.dialect.refused
        return replace(known, refused=known.refused | refused) if refused else known

    async def _request(self, call: HttpCall, timers: Timers, *, fresh: bool) -> httpx.Response:
        timeout = {"connect": timers.connect, "pool": timers.pool}
        return await self.transport.handle_async_request(
            httpx.Request(
                call.method,
                self._url(call.path),
                headers=self._headers,
                # As `content` it would have httpx look for the headers that are all here.
                stream=httpx.ByteStream(call.body),
                extensions={"timeout": timeout, "fresh": fresh},
            )
        )

    def _answer(self, body: ResponseStream, headers: dict[str, str], model: str) -> Answer:
        report = functools.partial(
            self._report.error, model=model, status=200, request_id=request_id(headers)
        )
        if headers.get("content-encoding", "identity").strip().lower() != "identity":
            # Decoding it would let a few bytes become any number of them.
            raise report(_unreadable("its answer is compressed, which was not asked for"))
        return Answer(body, headers, report, self._report.label)

    async def _refusal(
        self, status: int, headers: dict[str, str], body: ResponseStream, model: str
    ) -> GatewayError:
        if status < 400:
            failure = _unreadable(f"it answered {status}, which is no completion")
            return self._report.error(failure, model, status=status, request_id=request_id(headers))
        failure = self.dialect.failure(status, await _error_body(body))
        return self._report.error(
            failure,
            model,
            status=status,
            request_id=request_id(headers),
            retry_after=retry_after(status, headers, self._now()),
            should_retry=should_retry(headers),
        )


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
