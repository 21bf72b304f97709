"""What is known of an answer while it comes in: chunks in, events out."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.gemini.call_ids import made_call_id
from llmgateway_server.providers.gemini.failure import failure_in_answer
from llmgateway_server.providers.gemini.finish import UNSPECIFIED, finish_reason
from llmgateway_server.providers.gemini.signatures import Carrier, packed
from llmgateway_server.providers.gemini.usage import reported_usage
from llmgateway_server.providers.gemini.wire import (
    Candidate,
    Chunk,
    FunctionCall,
    Part,
)
from llmgateway_server.providers.part_index import PartIndex, PartKind

# Arguments that are none; servers in PHP write an empty object as a list.
_NO_ARGUMENTS: Final = frozenset({b"", b"null", b"[]"})
# What an event says that has no counts; it does not take back those of an earlier one.
_NO_USAGE: Final = (msgspec.Raw(b"null"), msgspec.Raw(b"{}"))


class Assembly:
    """One answer, from its first chunk to its finish.

    Usage is cumulative: every chunk has one, and the last replaces the others. `answer_id` is
    Google's id of the answer, empty until it is known.
    """

    def __init__(self) -> None:
        self.answer_id = ""
        self._began = False
        self._finish_word = ""
        self._block_word = ""
        self._usage = msgspec.Raw()
        # For servers that are not Google's and give none.
        self._own_id = new_ulid()
        self._call_count = 0
        self._parts = PartIndex()
        # Neighbouring pieces of text, told as one.
        self._run: list[str] = []

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""
        return reported_usage(self._usage)

    def add(self, chunk: Chunk, out: list[ProviderEvent]) -> None:
        """Takes a chunk and appends its events; its text waits for `flush`.

        Raises:
            WireError: the chunk is an error, or holds what cannot be read.
        """
        if chunk.error is not None:
            raise WireError(failure_in_answer(chunk.error))
        if chunk.usage_metadata and chunk.usage_metadata not in _NO_USAGE:
            self._usage = chunk.usage_metadata
        if chunk.response_id:
            self.answer_id = chunk.response_id
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._block_word = feedback.block_reason
        for candidate in chunk.candidates or ():
            # One answer is asked for; of several the first is heard.
            if candidate is not None and not candidate.index:
                self._hear(candidate, out)

    def flush(self, out: list[ProviderEvent]) -> None:
        """Appends the text added since the last time."""
        if self._run:
            out.append(TextDelta(self._parts.of(PartKind.TEXT), "".join(self._run)))
            self._run.clear()

    def close(self, out: list[ProviderEvent]) -> None:
        """Ends the answer: the usage, where there is any, and the finish.

        Raises:
            WireError: there is no answer, or it stopped without a reason.
        """
        self.flush(out)
        if self._finish_word:
            reason = finish_reason(self._finish_word, has_tool_calls=self._call_count > 0)
            finish = Finish(reason, self._finish_word)
        elif self._block_word:
            # Of the prompt, or of what was begun for it.
            finish = Finish(FinishReason.CONTENT_FILTER, self._block_word)
        elif self._began:
            raise WireError(
                Failure(Reason.PROVIDER_ERROR, "its stream ended in the middle of the answer")
            )
        else:
            raise WireError(_malformed("its stream holds no answer"))
        usage = self.usage
        if usage is not None:
            out.append(usage)
        out.append(finish)

    def _hear(self, candidate: Candidate, out: list[ProviderEvent]) -> None:
        self._began = True
        content = candidate.content
        if content is not None and content.parts:
            for part in filter(None, content.parts):
                # Nearly all parts are more text and nothing else.
                if part.thought_signature or part.thought or part.function_call is not None:
                    self.flush(out)
                    self._say(part, out)
                elif part.text:
                    self._run.append(part.text)
        if candidate.finish_reason and candidate.finish_reason != UNSPECIFIED:
            self._finish_word = candidate.finish_reason

    def _say(self, part: Part, out: list[ProviderEvent]) -> None:
        text, signature = part.text or "", part.thought_signature
        if part.function_call is not None:
            if signature:
                self._sign(Carrier.CALL, signature, out)
            self._call(part.function_call, out)
        elif part.thought:
            self._think(text, signature, out)
        elif signature:
            self._sign(Carrier.TEXT if text else Carrier.EMPTY_TEXT, signature, out)
            if text:
                # In a part of its own: text that is signed may not be joined to text that is not.
                out.append(TextDelta(self._parts.open(), text))

    def _think(self, text: str, signature: str | None, out: list[ProviderEvent]) -> None:
        if signature:
            part_index = self._parts.open()
        elif text:
            part_index = self._parts.of(PartKind.REASONING)
        if text:
            out.append(ReasoningDelta(part_index, text))
        if signature:
            out.append(SignatureDelta(part_index, packed(Carrier.THOUGHT, signature)))

    def _sign(self, carrier: Carrier, signature: str, out: list[ProviderEvent]) -> None:
        out.append(SignatureDelta(self._parts.open(), packed(carrier, signature)))

    def _call(self, call: FunctionCall, out: list[ProviderEvent]) -> None:
        if not call.name:
            raise WireError(_malformed("it sent a function call without a name"))
        call_id = call.id or made_call_id(self.answer_id or self._own_id, self._call_count)
        self._call_count += 1
        out.append(
            ToolCallDelta(self._parts.open(), call_id, call.name, _arguments(bytes(call.args)))
        )


def _arguments(data: bytes) -> str:
    """The arguments as the model wrote them; none are an empty object.

    Raises:
        WireError: they are no JSON object.
    """
    value: Any = {}
    if data not in _NO_ARGUMENTS:
        try:
            value = msgspec.json.decode(data)
        except (ValueError, RecursionError):
            value = None
    else:
        data = b"{}"
    if not isinstance(value, dict):
        raise WireError(_malformed("it sent a function call whose arguments are no object"))
    return data.decode()


def _malformed(message: str) -> Failure:
    return Failure(Reason.PROVIDER_PROTOCOL_ERROR, message)
