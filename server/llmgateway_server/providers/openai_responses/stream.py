"""Decodes answers: streams of events, and whole bodies."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.event_decoder import EventDecoder, malformed
from llmgateway_server.providers.eventstream import ServerEvent
from llmgateway_server.providers.openai_errors import failure_in_answer
from llmgateway_server.providers.openai_responses.content import text_or_empty
from llmgateway_server.providers.openai_responses.output import Output
from llmgateway_server.providers.openai_responses.wire import (
    EVENT,
    ITEM,
    RESPONSE,
    Event,
    Response,
)
from llmgateway_server.providers.second_reading import reread

_NOTHING: Final = frozenset({b"", b"[DONE]"})
_BOM: Final = b"\xef\xbb\xbf"
_TEXT: Final = "response.output_text.delta"
_TYPES: Final = "response."
# The status of an answer that ends with the event, unless it tells another one itself.
_LAST: Final = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
    "response.cancelled": "cancelled",
}
_STATUSES: Final = frozenset(_LAST.values())


class ResponseStream(EventDecoder):
    """The decoder of one streamed answer.

    An event is told by the `type` inside it, and by its name where it has none: OpenRouter names no
    events. The answer ends with one
    of four events, and an end without any of them is a failure; OpenRouter's [DONE] is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._output = Output()
        self._began = False

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far; it comes with the last event only."""
        return self._output.usage

    def _take(self, event: ServerEvent, out: list[ProviderEvent]) -> None:
        data = event.data
        if event.event == "error":
            raise WireError(failure_in_answer(data))
        try:
            fields = _event(data)
            if fields is None:
                return
            if fields.type is None:
                fields.type = event.event
            if fields.type == _TEXT:
                self._output.add_text(fields, out)
            else:
                self._output.flush(out)
                self._take_other(fields, data, out)
        except (ValueError, RecursionError):
            raise WireError(malformed("it sent an event that cannot be read")) from None

    def _take_other(self, event: Event, data: bytes, out: list[ProviderEvent]) -> None:
        if event.type == "error" or event.error:
            raise WireError(failure_in_answer(data))
        self._began = self._began or text_or_empty(event.type).startswith(_TYPES)
        match event.type:
            case "response.function_call_arguments.delta":
                self._output.add_arguments(event, out)
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._output.add_reasoning(event, out)
            case "response.refusal.delta":
                self._output.add_refusal(event, out)
            case "response.output_item.added" if _is_told(event.item):
                self._output.begin(ITEM.decode(event.item), event.output_index, out)
            case "response.output_item.done" if _is_told(event.item):
                self._output.complete(ITEM.decode(event.item), event.output_index, out)
            case str() as last if last in _LAST:
                response = (
                    RESPONSE.decode(event.response) if _is_told(event.response) else Response()
                )
                told = response.status
                status = told if told in _STATUSES else _LAST[last]
                self._output.close(response, status, out)
                self._is_done = True
            case _:
                # The rest repeats, or tells of what no caller has asked for.
                return

    def _close_unannounced(self, out: list[ProviderEvent]) -> None:
        if not self._began and not self._output.began:
            raise WireError(malformed("its stream holds no answer"))
        raise WireError(
            Failure(Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer")
        )

    def _flush(self, out: list[ProviderEvent]) -> None:
        self._output.flush(out)


def decode_body(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer.

    Raises:
        WireError: it is an error, or no answer.
    """
    out: list[ProviderEvent] = []
    try:
        response = _response(body.removeprefix(_BOM))
        is_answer = response.output is not None or response.status is not None
        Output().close(response, response.status or "", out)
    except (ValueError, RecursionError):
        is_answer = False
    if not is_answer:
        raise WireError(malformed("its answer is no response"))
    return out


def _event(data: bytes) -> Event | None:
    """An event; None where it is none, as one event of them all is at some servers."""
    try:
        return EVENT.decode(data)
    except (ValueError, RecursionError):
        return None if data.strip() in _NOTHING else reread(EVENT, data)


def _response(body: bytes) -> Response:
    try:
        return RESPONSE.decode(body)
    except (ValueError, RecursionError):
        return reread(RESPONSE, body)


def _is_told(value: Raw) -> bool:
    """Whether there is a value that is not null."""
    return bytes(value) not in {b"", b"null"}
