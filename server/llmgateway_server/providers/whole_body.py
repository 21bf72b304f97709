"""Answers that come as one body instead of a stream, or do not say which they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Decoder, Failure, WireError
from llmgateway_server.providers.eventstream import MAX_EVENT_BYTES

_BOM: Final = b"\xef\xbb\xbf"
# Where the first word has to begin; what is blank that far is no JSON.
_MAX_BLANK: Final = 1024


class WholeBody:
    """A decoder that collects a body and decodes it at its end.

    The body as a whole is one event, so it is bounded like one: 4 MiB.
    """

    def __init__(self, decode: Callable[[bytes], list[ProviderEvent]]) -> None:
        self.request_id = ""
        self.usage: Usage | None = None
        self.failure: Failure | None = None
        self._decode = decode
        self._received = bytearray()

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Collects; there is no event before the end."""
        self._received += data
        if len(self._received) > MAX_EVENT_BYTES:
            self.failure = Failure(
                Reason.PROVIDER_PROTOCOL_ERROR,
                f"its answer is longer than {MAX_EVENT_BYTES} bytes",
            )
        return []

    def end(self) -> list[ProviderEvent]:
        """All events at once."""
        try:
            events = self._decode(bytes(self._received))
        except WireError as error:
            self.failure = error.failure
            return []
        self.usage = next((event for event in events if isinstance(event, Usage)), None)
        return events


class EitherBody:
    """A decoder that looks at the first byte: JSON is a whole body, anything else a stream.

    For answers labelled as JSON or not at all. Servers without streaming answer in one body, and
    there are streams that call themselves JSON.
    """

    def __init__(self, whole: WholeBody, stream: Callable[[], Decoder]) -> None:
        self._whole = whole
        self._stream = stream
        self._start = b""
        self._decoder: Decoder | None = None

    @property
    def request_id(self) -> str:
        """The answer's id, where the body has it."""
        return self._decoder.request_id if self._decoder is not None else ""

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._decoder.usage if self._decoder is not None else None

    @property
    def failure(self) -> Failure | None:
        """Why the answer broke off."""
        return self._decoder.failure if self._decoder is not None else None

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Takes the next bytes; see `Decoder`."""
        if self._decoder is not None:
            return self._decoder.feed(data)
        self._start += data
        if len(self._start) < _MAX_BLANK and not self._first_byte():
            return []
        return self._chosen().feed(self._start)

    def end(self) -> list[ProviderEvent]:
        """Takes the end of the bytes; see `Decoder`."""
        return (self._decoder or self._chosen()).end()

    def _first_byte(self) -> bytes:
        start = self._start[:_MAX_BLANK]
        if _BOM.startswith(start):
            return b""
        return start.removeprefix(_BOM).lstrip()[:1]

    def _chosen(self) -> Decoder:
        is_json = self._first_byte() in {b"{", b"["}
        self._decoder = decoder = self._whole if is_json else self._stream()
        return decoder
