"""What decoders of event streams share: how bytes become events, how they end, how they fail."""

from __future__ import annotations

from abc import ABC, abstractmethod

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.eventstream import (
    EventStreamDecoder,
    EventStreamError,
    ServerEvent,
)


def malformed(message: str) -> Failure:
    """What cannot be read."""
    return Failure(Reason.PROVIDER_PROTOCOL_ERROR, message)


class EventDecoder(ABC):
    """A `Decoder` over text/event-stream; a dialect says what an event and what the end means."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self._events = EventStreamDecoder()
        self._is_done = False

    @property
    def request_id(self) -> str:
        """The answer's id, for dialects whose provider has no header for it."""
        return ""

    @property
    @abstractmethod
    def usage(self) -> Usage | None:
        """The usage reported so far."""

    @abstractmethod
    def _take(self, event: ServerEvent, out: list[ProviderEvent]) -> None:
        """Takes an event; sets `_is_done` where it ended the answer.

        Raises:
            WireError: it is an error, or cannot be read.
        """

    @abstractmethod
    def _flush(self, out: list[ProviderEvent]) -> None:
        """Appends the text that was collected."""

    @abstractmethod
    def _close_unannounced(self, out: list[ProviderEvent]) -> None:
        """Takes the end of the bytes where no event ended the answer.

        Raises:
            WireError: it is not an end.
        """

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Takes the next bytes; see `Decoder`."""
        out: list[ProviderEvent] = []
        if self._is_over():
            return out
        try:
            for event in self._events.feed(data):
                self._take(event, out)
                if self._is_done:
                    break
        except (EventStreamError, WireError) as error:
            self._fail(error)
        self._flush(out)
        return out

    def end(self) -> list[ProviderEvent]:
        """Takes the end of the bytes; see `Decoder`."""
        out: list[ProviderEvent] = []
        if self._is_over():
            return out
        try:
            self._take_rest(out)
            if not self._is_done:
                self._close_unannounced(out)
        except (EventStreamError, WireError) as error:
            self._fail(error)
        self._flush(out)
        return out

    def _is_over(self) -> bool:
        return self._is_done or self.failure is not None

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

    def _fail(self, error: EventStreamError | WireError) -> None:
        if isinstance(error, WireError):
            self.failure = error.failure
        else:
            self.failure = malformed(f"one {error.cap} of it is longer than allowed")
