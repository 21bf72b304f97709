"""Decodes answers: streams of chunks, and whole bodies.

Source: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent.
"""

from __future__ import annotations

import re
from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.event_decoder import EventDecoder, malformed
from llmgateway_server.providers.eventstream import ServerEvent
from llmgateway_server.providers.gemini.assembly import Assembly
from llmgateway_server.providers.gemini.wire import CHUNK, CHUNKS, Chunk
from llmgateway_server.providers.second_reading import reread

_BOM: Final = b"\xef\xbb\xbf"
# A line of a stream of events begins with the name of a field.
_BARE: Final = re.compile(rb"\n[\[{]")
_MAX_BARE: Final = 64 * 1024


class GeminiStream(EventDecoder):
    """The decoder of one streamed answer.

    Nothing but the end of the bytes ends it: that is a success where a reason to finish was given.
    An error in the middle comes as a chunk, or as bare JSON between the events.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answer = Assembly()
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
        return super().feed(self._without_bare(data))

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
            if not event.data.strip():
                return
            chunk = _chunk_after_all(event.data)
        self._answer.add(chunk, out)

    def _close_unannounced(self, out: list[ProviderEvent]) -> None:
        if self._bare is not None:
            decode_body(bytes(self._bare))
            raise WireError(malformed("it sent JSON between the events that is no error"))
        self._answer.close(out)
        self._is_done = True

    def _flush(self, out: list[ProviderEvent]) -> None:
        self._answer.flush(out)


def decode_body(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer, or of a stream that was asked for without `alt=sse`: a list.

    Raises:
        WireError: it is an error, or no answer.
    """
    body = body.removeprefix(_BOM).lstrip()
    try:
        chunks = _chunks(body)
    except (ValueError, RecursionError):
        raise WireError(malformed("its answer is no completion")) from None
    out: list[ProviderEvent] = []
    answer = Assembly()
    for chunk in chunks:
        answer.add(chunk, out)
    answer.close(out)
    return out


def _chunk_after_all(data: bytes) -> Chunk:
    try:
        return reread(CHUNK, data)
    except (ValueError, RecursionError):
        raise WireError(malformed("it sent an event that is no chunk")) from None


def _chunks(body: bytes) -> list[Chunk]:
    if not body.startswith(b"["):
        body = b"[" + body + b"]"
    try:
        return CHUNKS.decode(body)
    except (ValueError, RecursionError):
        return reread(CHUNKS, body)
