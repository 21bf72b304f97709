"""A generated answer as it is received over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import httpx

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.call_meter import MeteredCall
from llmgateway_server.providers.dialect import Decoder, Dialect, Failure
from llmgateway_server.providers.echo import Echo
from llmgateway_server.providers.errors import transport_failure
from llmgateway_server.providers.http_exchange import Answer
from llmgateway_server.providers.whole_body import EitherBody, WholeBody

# Said of streams and of bodies alike.
_UNDECIDED_TYPES: Final = frozenset({"", "application/json", "text/plain"})


def decoder_for(answer: Answer, dialect: Dialect) -> Decoder:
    """The decoder that the answer's content type asks for.

    Raises:
        GatewayError: PROVIDER_PROTOCOL_ERROR, it is no completion.
    """
    kind = answer.kind
    if kind == dialect.media_type:
        return dialect.decoder()
    if kind in _UNDECIDED_TYPES or kind.endswith("+json"):
        return EitherBody(WholeBody(dialect.decode_body), dialect.decoder)
    message = f"it answered with {kind[:64]} instead of a completion"
    raise answer.report(Failure(Reason.PROVIDER_PROTOCOL_ERROR, message))


class HttpStream:
    """The port's ProviderStream over a response's body and a dialect's decoder."""

    def __init__(
        self, answer: Answer, decoder: Decoder, call: MeteredCall, *, echo: str = ""
    ) -> None:
        self._answer = answer
        self._body = answer.body
        self._next_chunk = aiter(answer.body).__anext__
        self._decoder = decoder
        self._report = answer.report
        self._call = call
        self._error: GatewayError | None = None
        self._echo = Echo(echo) if echo else None

    @property
    def request_id(self) -> str:
        """The provider's, from a header or else from the body."""
        return self._answer.request_id or self._answer.label(self._decoder.request_id)

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._decoder.usage

    async def read(self) -> Sequence[ProviderEvent]:
        """Everything that became available; see the port."""
        if self._error is not None:
            raise self._error
        data: bytes | None = None
        try:
            data = await self._next_chunk()
        except StopAsyncIteration:
            pass
        except httpx.RequestError as error:
            self._fail()
            raise self._report(transport_failure(error)) from None
        except BaseException:
            self.close()
            raise
        decoder = self._decoder
        events = decoder.end() if data is None else decoder.feed(data)
        if self._echo is not None:
            events = self._echo.without(events)
        failure = decoder.failure
        if failure is not None:
            self._fail()
            # What came before the failure is delivered; the next read tells of the failure.
            self._error = self._report(failure)
            if not events:
                raise self._error
        elif events and isinstance(events[-1], Finish):
            self._body.finish()
            self._call.succeeded(decoder.usage)
        return events

    def close(self) -> None:
        """Cuts off what has not ended; see the port."""
        self._body.close()
        self._call.cancelled(self._decoder.usage)

    def _fail(self) -> None:
        self._body.close()
        self._call.failed(self._decoder.usage)
