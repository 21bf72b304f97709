"""Decodes answers: streams of chunks, and whole bodies.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent.
"""

from __future__ import annotations

import re
from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.eventstream import (
    EventStreamDecoder,
    EventStreamError,
    ServerEvent,
)
from llmgateway_server.providers.gemini.assembly import Assembly
from llmgateway_server.providers.gemini.wire import CHUNK, CHUNKS

_BOM: Final = b"\xef\xbb\xbf"
# A line of a stream of events begins with the name of a field.
_BARE: Final = re.compile(rb"\n[\[{]")
_MAX_BARE: Final = 64 * 1024


class GeminiStream:
    """The decoder of one streamed answer.

    Nothing but the end of the bytes ends it: that is a success where a reason to finish was given.
    An error in the middle comes as a chunk, or as bare JSON between the events.
    """

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._events = EventStreamDecoder()
        self._answer = Assembly()
        self._is_done = False
        self._is_line_start = True
        self._bare: bytearray | None = None

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._answer.usage

    @property
    def request_id(self) -> str:
        """Google's id of the answer, which no header tells; empty until it is known."""
        return self._answer.answer_id

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Takes the next bytes; see `Decoder`."""
        out: list[ProviderEvent] = []
        if self._is_done or self.failure is not None:
            return out
        try:
            for event in self._events.feed(self._without_bare(data)):
                self._take(event, out)
        except (EventStreamError, WireError) as error:
            self._fail(error)
        self._answer.flush(out)
        return out

    def end(self) -> list[ProviderEvent]:
        """Takes the end of the bytes; see `Decoder`."""
        out: list[ProviderEvent] = []
        if self._is_done or self.failure is not None:
            return out
        try:
            self._take_rest(out)
            self._close(out)
        except (EventStreamError, WireError) as error:
            self._fail(error)
        self._answer.flush(out)
        return out

    def _without_bare(self, data: bytes) -> bytes:
        """The bytes up to where JSON begins that is no event; the rest is kept for the end."""
        if self._bare is not None:
            self._bare += data[: _MAX_BARE - len(self._bare)]
            return b""
        if self._is_line_start and data.startswith((b"{", b"[")):
            start = 0
        else:
            if data:
                self._is_line_start = data.endswith(b"\n")
            match = _BARE.search(data)
            if match is None:
                return data
            start = match.end() - 1
        self._bare = bytearray(data[start : start + _MAX_BARE])
        return data[:start]

    def _take(self, event: ServerEvent, out: list[ProviderEvent]) -> None:
        try:
            chunk = CHUNK.decode(event.data)
        except (ValueError, RecursionError):
            if event.data.strip():
                raise WireError(_malformed("it sent an event that is no chunk")) from None
            return
        self._answer.add(chunk, out)

    def _take_rest(self, out: list[ProviderEvent]) -> None:
        """Takes the event that the end left open.

        It is the last one without its line end, or one that was cut: what is not readable then
        says no more than the end itself does.
        """
        try:
            for event in self._events.end():
                self._take(event, out)
        except WireError as error:
            if error.failure.reason is not Reason.PROVIDER_PROTOCOL_ERROR:
                raise

    def _close(self, out: list[ProviderEvent]) -> None:
        if self._bare is not None:
            decode_body(bytes(self._bare))
            raise WireError(_malformed("it sent JSON between the events that is no error"))
        self._answer.close(out)
        self._is_done = True

    def _fail(self, error: EventStreamError | WireError) -> None:
        if isinstance(error, WireError):
            self.failure = error.failure
        else:
            self.failure = _malformed(f"one {error.cap} of it is longer than allowed")


def decode_body(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer, or of a stream that was asked for without `alt=sse`: a list.

    Raises:
        WireError: it is an error, or no answer.
    """
    body = body.removeprefix(_BOM).lstrip()
    try:
        chunks = CHUNKS.decode(body) if body.startswith(b"[") else [CHUNK.decode(body)]
    except (ValueError, RecursionError):
        raise WireError(_malformed("its answer is no completion")) from None
    out: list[ProviderEvent] = []
    answer = Assembly()
    for chunk in chunks:
        answer.add(chunk, out)
    answer.close(out)
    return out


def _malformed(message: str) -> Failure:
    return Failure(Reason.PROVIDER_PROTOCOL_ERROR, message)
