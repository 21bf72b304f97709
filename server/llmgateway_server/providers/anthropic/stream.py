"""Decodes answers: streams of events, and whole bodies."""

from __future__ import annotations

from typing import Final

import msgspec

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.anthropic.assembly import Assembly
from llmgateway_server.providers.anthropic.failure import failure_in_answer
from llmgateway_server.providers.anthropic.usage import token_count
from llmgateway_server.providers.anthropic.wire import (
    BLOCK,
    BODY,
    EVENT,
    OUTLINE,
    TOKEN_COUNT,
    Block,
    Event,
)
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.eventstream import (
    EventStreamDecoder,
    EventStreamError,
    ServerEvent,
)

_BOM: Final = b"\xef\xbb\xbf"
_DONE: Final = b"[DONE]"

# What has to be understood. Of anything else there may be more from year to year.
_BLOCKS: Final = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_DELTAS: Final = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta"})
_EVENTS: Final = frozenset({"message_start", "content_block_stop", "message_delta", "message_stop"})


class MessageStream:
    """The decoder of one streamed answer, which ends with message_stop and nowhere else."""

    def __init__(self) -> None:
        self.request_id = ""
        self.failure: Failure | None = None
        self._events = EventStreamDecoder()
        self._answer = Assembly()
        self._began = False
        self._is_done = False

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._answer.tally.usage

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Takes the next bytes; see `Decoder`."""
        out: list[ProviderEvent] = []
        if self._is_done or self.failure is not None:
            return out
        try:
            for event in self._events.feed(data):
                if self._take(event, out):
                    break
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
        except (EventStreamError, WireError) as error:
            self._fail(error)
        if not self._is_done and self.failure is None:
            self.failure = self._unannounced()
        self._answer.flush(out)
        return out

    def _take(self, source: ServerEvent, out: list[ProviderEvent]) -> bool:
        """Takes an event; returns whether it ended the answer."""
        name, data = source.event, source.data
        if name == "ping":
            return False
        if name == "error":
            raise WireError(failure_in_answer(data))
        try:
            event = EVENT.decode(data)
        except (ValueError, RecursionError):
            _check_unread(data)
            return False
        delta = event.delta
        if delta is not None and delta.type == "text_delta":
            # Nearly all events are these.
            self._began = True
            self._answer.add_text(event.index or 0, delta.text or "")
        else:
            self._take_other(event, event.type or name, data, out)
        return self._is_done

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
        if not self._began:
            raise WireError(_malformed("its stream holds no answer"))
        self._answer.close(out)
        self._is_done = True

    def _unannounced(self) -> Failure:
        if not self._began:
            return _malformed("its stream holds no answer")
        return Failure(Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer")

    def _fail(self, error: EventStreamError | WireError) -> None:
        if isinstance(error, WireError):
            self.failure = error.failure
        else:
            self.failure = _malformed(f"one {error.cap} of it is longer than allowed")


def decode_body(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer.

    Raises:
        WireError: it is an error, or no answer.
    """
    body = body.removeprefix(_BOM)
    try:
        message = BODY.decode(body)
    except (ValueError, RecursionError):
        _check_error(body)
        raise WireError(_malformed("its answer is no message")) from None
    if message.type == "error" or message.error:
        raise WireError(failure_in_answer(body))
    if message.content is None:
        raise WireError(_malformed("its answer is no message"))
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
        raise WireError(_malformed("its answer is no count")) from None
    if count.type == "error" or count.error:
        raise WireError(failure_in_answer(body))
    if count.input_tokens is None:
        raise WireError(_malformed("its answer is no count"))
    return token_count(count.input_tokens)


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
            raise WireError(_malformed("its answer holds a block that is none")) from None
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
        raise WireError(_malformed("it sent an event that is no JSON object")) from None
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
        raise WireError(_malformed("it sent an event that is not what it says"))


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


def _malformed(message: str) -> Failure:
    return Failure(Reason.PROVIDER_PROTOCOL_ERROR, message)
