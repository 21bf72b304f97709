"""Decodes answers: streams of events, and whole bodies."""

from __future__ import annotations

from typing import Final

import msgspec

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.anthropic.assembly import Assembly
from llmgateway_server.providers.anthropic.failure import failure_in_answer
from llmgateway_server.providers.anthropic.wire import (
    BLOCK,
    BODY,
    EVENT,
    OUTLINE,
    TOKEN_COUNT,
    Block,
    Body,
    Event,
)
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.event_decoder import EventDecoder, malformed
from llmgateway_server.providers.eventstream import ServerEvent
from llmgateway_server.providers.second_reading import reread
from llmgateway_server.providers.token_counts import told

_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = b"[DONE]"

# What has to be understood. Of anything else there may be more from year to year.
_BLOCKS: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_DELTAS: Final = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta"})
_EVENTS: Final = frozenset({"message_start", "content_block_stop", "message_delta", "message_stop"})


class MessageStream(EventDecoder):
    """The decoder of one streamed answer, which ends with message_stop and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self._answer = Assembly()
        self._began = False

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._answer.tally.usage

    def _take(self, event: ServerEvent, out: list[ProviderEvent]) -> None:
        name, data = event.event, event.data
        if name == "ping":
            return
        if name == "error":
            raise WireError(failure_in_answer(data))
        try:
            fields = EVENT.decode(data)
        except (ValueError, RecursionError):
            read = _event_after_all(data)
            if read is None:
                return
            fields = read
        delta = fields.delta
        if delta is not None and delta.type == "text_delta":
            # Nearly all events are these.
            self._began = True
            self._answer.add_text(fields.index or 0, delta.text or "")
        else:
            self._take_other(fields, fields.type or name, data, out)

    def _take_other(self, event: Event, kind: str, data: bytes, out: list[ProviderEvent]) -> None:
        answer, index, delta = self._answer, event.index or 0, event.delta
        if kind == "error" or event.error:
            raise WireError(failure_in_answer(data))
        match kind:
            case "message_start":
                self._began = True
                answer.tally.report(event.message.usage if event.message is not None else None)
            case "content_block_start" if event.content_block is not None:
                self._began = True
                answer.start(index, event.content_block, out)
            case "content_block_delta" if delta is not None:
                answer.add(index, delta, out)
            case "content_block_stop":
                answer.stop(index, out)
            case "message_delta":
                answer.tally.report(event.usage)
                if delta is not None and delta.stop_reason:
                    answer.stop_word = delta.stop_reason
                    answer.stop_sequence = delta.stop_sequence or ""
            case "message_stop":
                self._close(out)

    def _close(self, out: list[ProviderEvent]) -> None:
        if not self._began:
            raise WireError(malformed("its stream holds no answer"))
        self._answer.close(out)
        self._is_done = True

    def _close_unannounced(self, out: list[ProviderEvent]) -> None:
        if not self._began:
            raise WireError(malformed("its stream holds no answer"))
        raise WireError(
            Failure(Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer")
        )

    def _flush(self, out: list[ProviderEvent]) -> None:
        self._answer.flush(out)


def decode_body(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer.

    Raises:
        WireError: it is an error, or no answer.
    """
    body = body.removeprefix(_BOM)
    message = _body(body)
    if message.type == "error" or message.error:
        raise WireError(failure_in_answer(body))
    if message.content is None:
        raise WireError(malformed("its answer is no message"))
    answer = Assembly()
    answer.tally.report(message.usage)
    answer.stop_word = message.stop_reason or ""
    answer.stop_sequence = message.stop_sequence or ""
    out: list[ProviderEvent] = []
    for index, raw in enumerate(message.content):
        block = _block(raw)
        if block is not None:
            answer.start(index, block, out)
            answer.stop(index, out)
    answer.close(out)
    return out


def _body(body: bytes) -> Body:
    try:
        return BODY.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return reread(BODY, body)
    except (ValueError, RecursionError):
        _check_error(body)
        raise WireError(malformed("its answer is no message")) from None


def decode_count(body: bytes) -> int:
    """The number that count_tokens answers.

    Raises:
        WireError: it is an error, or no count.
    """
    body = body.removeprefix(_BOM)
    try:
        count = TOKEN_COUNT.decode(body)
    except (ValueError, RecursionError):
        _check_error(body)
        raise WireError(malformed("its answer is no count")) from None
    if count.type == "error" or count.error:
        raise WireError(failure_in_answer(body))
    number = told({"input_tokens": count.input_tokens}, "input_tokens")
    if number is None:
        raise WireError(malformed("its answer is no count"))
    return number


def _block(raw: msgspec.Raw) -> Block | None:
    """A block of a whole answer; None where it is of a type that nothing is known of."""
    try:
        return BLOCK.decode(raw)
    except (ValueError, RecursionError):
        try:
            kind = OUTLINE.decode(raw).type
        except (ValueError, RecursionError):
            kind = None
        if not isinstance(kind, str) or kind in _BLOCKS:
            raise WireError(malformed("its answer holds a block that is none")) from None
        return None


def _event_after_all(data: bytes) -> Event | None:
    """An event that is no JSON to the letter; None where it says nothing that is read.

    Raises:
        WireError: it is an error, or had to be understood.
    """
    try:
        return reread(EVENT, data)
    except (ValueError, RecursionError):
        _check_unread(data)
        return None


def _check_unread(data: bytes) -> None:
    """Judges an event that does not read as one: what is of an unknown type may be anything.

    Raises:
        WireError: it is an error, or had to be understood.
    """
    if not data.strip() or data.strip() == _DONE:
        # Some servers end every stream so, as OpenAI's.
        return
    _check_error(data)
    try:
        outline = OUTLINE.decode(data)
    except (ValueError, RecursionError):
        raise WireError(malformed("it sent an event that is no JSON object")) from None
    match outline.type:
        case "content_block_start":
            is_known = _type(outline.content_block) in _BLOCKS | {""}
        case "content_block_delta":
            is_known = _type(outline.delta) in _DELTAS | {""}
        case str() as kind:
            is_known = kind in _EVENTS
        case _:
            is_known = True
    if is_known:
        raise WireError(malformed("it sent an event that is not what it says"))


def _check_error(data: bytes) -> None:
    """Looks for an error in what reads as nothing else.

    Raises:
        WireError: there is one.
    """
    try:
        outline = OUTLINE.decode(data)
    except (ValueError, RecursionError):
        return
    if outline.type == "error" or outline.error:
        raise WireError(failure_in_answer(data))


def _type(value: object) -> str:
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""
