"""Decodes answers: streams of chunks, and whole bodies."""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.event_decoder import EventDecoder, malformed
from llmgateway_server.providers.eventstream import ServerEvent
from llmgateway_server.providers.openai_chat.assembly import Assembly
from llmgateway_server.providers.openai_chat.usage import reported_usage
from llmgateway_server.providers.openai_chat.wire import BODY, CHUNK, Body, Chunk, Message
from llmgateway_server.providers.openai_errors import failure_in_answer
from llmgateway_server.providers.second_reading import reread
from llmgateway_server.providers.token_counts import fields_of

_DONE: Final = b"[DONE]"
_NOTHING: Final = frozenset({b"", _DONE})
_BOM: Final = b"\xef\xbb\xbf"


class ChatStream(EventDecoder):
    """The decoder of one streamed answer.

    The answer ends with [DONE], or where the bytes end after a finish reason (Perplexity and
    GPUStack send no [DONE]). [DONE] alone is an end too: Snowflake gives no reason, which makes
    it OTHER. An end with neither is a failure.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answer = Assembly()

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return self._answer.usage

    def _take(self, event: ServerEvent, out: list[ProviderEvent]) -> None:
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
            if text in _NOTHING:
                return
            chunk = _chunk_after_all(data)
        only_text = _only_text(chunk)
        if only_text:
            self._answer.add_text(only_text)
        else:
            self._take_chunk(chunk, data, out)

    def _take_chunk(self, chunk: Chunk, data: bytes, out: list[ProviderEvent]) -> None:
        usage = reported_usage(chunk)
        if usage is not None:
            self._answer.usage = usage
        if chunk.error or chunk.object == "error" or fields_of(chunk.x_groq).get("error"):
            raise WireError(failure_in_answer(data))
        for choice in chunk.choices or ():
            if choice is None:
                continue
            if choice.error:
                raise WireError(failure_in_answer(data))
            # One answer is asked for; a server that gives several is heard on the first.
            if not choice.index:
                delta = choice.delta
                self._answer.add(delta if isinstance(delta, Message) else None, choice, out)

    def _close_unannounced(self, out: list[ProviderEvent]) -> None:
        if self._answer.began and not self._answer.finish_word:
            raise WireError(
                Failure(Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer")
            )
        self._close(out)

    def _close(self, out: list[ProviderEvent]) -> None:
        if not self._answer.began:
            raise WireError(malformed("its stream holds no answer"))
        self._answer.close(out)
        self._is_done = True

    def _flush(self, out: list[ProviderEvent]) -> None:
        self._answer.flush(out)


def decode_body(body: bytes) -> list[ProviderEvent]:
    """The events of a whole answer.

    Raises:
        WireError: it is an error, or no answer.
    """
    body = body.removeprefix(_BOM)
    try:
        answer = _body(body)
    except (ValueError, RecursionError):
        raise WireError(malformed("its answer is no completion")) from None
    if answer.error or answer.object == "error":
        raise WireError(failure_in_answer(body))
    choice = next(filter(None, answer.choices or ()), None)
    if choice is not None and choice.error:
        raise WireError(failure_in_answer(body))
    if choice is None or (choice.message is None and not choice.finish_reason):
        raise WireError(malformed("its answer is no completion"))
    assembly = Assembly()
    assembly.usage = reported_usage(answer)
    out: list[ProviderEvent] = []
    assembly.add(choice.message, choice, out)
    assembly.close(out)
    return out


def _chunk_after_all(data: bytes) -> Chunk:
    try:
        return reread(CHUNK, data)
    except (ValueError, RecursionError):
        raise WireError(malformed("it sent an event that is no chunk")) from None


def _body(body: bytes) -> Body:
    try:
        return BODY.decode(body)
    except (ValueError, RecursionError):
        return reread(BODY, body)


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
    delta = choice.delta if choice is not None else None
    if (
        choice is None
        or type(delta) is not Message
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
