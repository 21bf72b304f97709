"""Decodes answers: streams of chunks, and whole bodies."""

from __future__ import annotations

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
from llmgateway_server.providers.openai_chat.assembly import Assembly
from llmgateway_server.providers.openai_chat.usage import reported_usage
from llmgateway_server.providers.openai_chat.wire import BODY, CHUNK, Chunk
from llmgateway_server.providers.openai_errors import failure_in_answer

_DONE: Final = b"[DONE]"
_BOM: Final = b"\xef\xbb\xbf"


class ChatStream:
    """The decoder of one streamed answer.

    The answer ends with [DONE], or where the bytes end after a finish reason (Perplexity and
    GPUStack send no [DONE]). [DONE] alone is an end too: Snowflake gives no reason, which makes
    it OTHER. An end with neither is a failure.
    """

    def __init__(self) -> None:
        self.request_id = ""
        self.failure: Failure | None = None
        self._events = EventStreamDecoder()
        self._answer = Assembly()
        self._is_done = False

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._answer.usage

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
            if not self._take_rest(out):
                self._close_unannounced(out)
        except (EventStreamError, WireError) as error:
            self._fail(error)
        self._answer.flush(out)
        return out

    def _take(self, event: ServerEvent, out: list[ProviderEvent]) -> bool:
        """Takes an event; returns whether it ended the answer."""
        data = event.data
        if event.event == "error":
            raise WireError(failure_in_answer(data))
        try:
            chunk = CHUNK.decode(data)
        except (ValueError, RecursionError):
            # Looked at only here, since it is one event of them all.
            text = data.strip()
            if text == _DONE:
                self._close(out)
            elif text:
                raise WireError(_malformed("it sent an event that is no chunk")) from None
            return self._is_done
        only_text = _only_text(chunk)
        if only_text:
            self._answer.add_text(only_text)
        else:
            self._take_chunk(chunk, data, out)
        return False

    def _take_chunk(self, chunk: Chunk, data: bytes, out: list[ProviderEvent]) -> None:
        usage = reported_usage(chunk)
        if usage is not None:
            self._answer.usage = usage
        if chunk.error or chunk.object == "error" or (chunk.x_groq and chunk.x_groq.error):
            raise WireError(failure_in_answer(data))
        for choice in chunk.choices or ():
            if choice.error:
                raise WireError(failure_in_answer(data))
            # One answer is asked for; a server that gives several is heard on the first.
            if not choice.index:
                self._answer.add(choice.delta, choice, out)

    def _take_rest(self, out: list[ProviderEvent]) -> bool:
        """Takes the event that the end left open; returns whether it ended the answer.

        It is the last one without its line end, or one that was cut: what is not readable then
        says no more than the end itself does.
        """
        try:
            rest = self._events.end()
            return bool(rest) and self._take(rest[0], out)
        except WireError as error:
            if error.failure.reason is not Reason.PROVIDER_PROTOCOL_ERROR:
                raise
            return False

    def _close_unannounced(self, out: list[ProviderEvent]) -> None:
        if self._answer.began and not self._answer.finish_word:
            raise WireError(
                Failure(Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer")
            )
        self._close(out)

    def _close(self, out: list[ProviderEvent]) -> None:
        if not self._answer.began:
            raise WireError(_malformed("its stream holds no answer"))
        self._answer.close(out)
        self._is_done = True

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
        answer = BODY.decode(body)
    except (ValueError, RecursionError):
        raise WireError(_malformed("its answer is no completion")) from None
    if answer.error or answer.object == "error":
        raise WireError(failure_in_answer(body))
    choice = answer.choices[0] if answer.choices else None
    if choice is not None and choice.error:
        raise WireError(failure_in_answer(body))
    if choice is None or (choice.message is None and not choice.finish_reason):
        raise WireError(_malformed("its answer is no completion"))
    assembly = Assembly()
    assembly.usage = reported_usage(answer)
    out: list[ProviderEvent] = []
    assembly.add(choice.message, choice, out)
    assembly.close(out)
    return out


def _only_text(chunk: Chunk) -> str:
    """The text of a chunk that brings more text and nothing else, as nearly all do."""
    choices = chunk.choices
    if (
        not choices
        or len(choices) > 1
        or chunk.usage is not None
        or chunk.error is not None
        or chunk.x_groq is not None
        or chunk.object == "error"
    ):
        return ""
    choice = choices[0]
    delta = choice.delta
    if (
        delta is None
        or choice.index
        or choice.finish_reason is not None
        or choice.stop_reason is not None
        or choice.error is not None
        or delta.tool_calls is not None
        or delta.reasoning_content
        or delta.reasoning
        or delta.reasoning_details
        or delta.refusal
        or type(delta.content) is not str
    ):
        return ""
    return delta.content


def _malformed(message: str) -> Failure:
    return Failure(Reason.PROVIDER_PROTOCOL_ERROR, message)
