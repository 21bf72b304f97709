"""What is known of an answer while it comes in: wire messages in, events out."""

from __future__ import annotations

from typing import Any

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
)
from llmgateway_server.providers.dialect import WireError
from llmgateway_server.providers.openai_chat.finish import finish_failure, finish_reason
from llmgateway_server.providers.openai_chat.reasoning import ReasoningDetails
from llmgateway_server.providers.openai_chat.tool_calls import ToolCalls
from llmgateway_server.providers.openai_chat.wire import BodyChoice, Message, StreamChoice
from llmgateway_server.providers.part_index import PartIndex, PartKind


class Assembly:
    """One answer, from its first message or delta to its finish.

    Usage and finish reason are cumulative: later ones replace earlier ones, since servers repeat
    them, correct them, and send usage before, with or after the reason.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.began = False
        self.finish_word = ""
        self._stop_sequence = ""
        self._refused = False
        self._parts = PartIndex()
        self._tool_calls = ToolCalls(self._parts)
        self._details = ReasoningDetails()
        self._reasoning_part: int | None = None
        # Neighbouring pieces of text, told as one.
        self._run: list[str] = []

    def add_text(self, text: str) -> None:
        """Takes more text, for `flush` to tell."""
        self.began = True
        self._run.append(text)

    def flush(self, out: list[ProviderEvent]) -> None:
        """Appends the text added since the last time."""
        if self._run:
            out.append(TextDelta(self._parts.of(PartKind.TEXT), "".join(self._run)))
            self._run.clear()

    def add(
        self, message: Message | None, choice: StreamChoice | BodyChoice, out: list[ProviderEvent]
    ) -> None:
        """Takes what a choice says and appends its events."""
        self.began = True
        self.flush(out)
        if message is not None:
            self._say(message, out)
        if choice.finish_reason:
            self.finish_word = choice.finish_reason
        if isinstance(choice.stop_reason, str):
            self._stop_sequence = choice.stop_reason

    def close(self, out: list[ProviderEvent]) -> None:
        """Ends the answer: the usage, where there is any, and the finish.

        Raises:
            WireError: the answer ended, but not well.
        """
        self.flush(out)
        failure = finish_failure(self.finish_word)
        if failure is not None:
            raise WireError(failure)
        self._tool_calls.close(out)
        signature = self._details.signature()
        if signature:
            part = self._reasoning_part
            out.append(SignatureDelta(self._parts.open() if part is None else part, signature))
        if self.usage is not None:
            out.append(self.usage)
        reason = finish_reason(
            self.finish_word, has_tool_calls=self._tool_calls.any, is_refusal=self._refused
        )
        if reason is FinishReason.TOOL_CALLS and not self._tool_calls.any:
            # The only call was the answer.
            reason = FinishReason.STOP if self._tool_calls.has_answer else reason
        stopped_at = self._stop_sequence if reason is FinishReason.STOP else ""
        out.append(Finish(reason, self.finish_word, stopped_at))

    def _say(self, message: Message, out: list[ProviderEvent]) -> None:
        # vLLM sends the same reasoning by both names.
        reasoning = message.reasoning_content or message.reasoning
        if reasoning:
            self._reason(reasoning, out)
        if isinstance(message.reasoning_details, list):
            self._details.add(message.reasoning_details)
        content = message.content
        if content:
            if isinstance(content, str):
                out.append(TextDelta(self._parts.of(PartKind.TEXT), content))
            else:
                self._say_blocks(content, out)
        if message.refusal:
            self._refused = True
            out.append(TextDelta(self._parts.of(PartKind.TEXT), message.refusal))
        if message.tool_calls:
            for piece in filter(None, message.tool_calls):
                self._tool_calls.add(piece, out)

    def _reason(self, text: str, out: list[ProviderEvent]) -> None:
        self._reasoning_part = self._parts.of(PartKind.REASONING)
        out.append(ReasoningDelta(self._reasoning_part, text))

    def _say_blocks(self, blocks: list[Any], out: list[ProviderEvent]) -> None:
        for block in blocks:
            if not isinstance(block, dict):
                continue
            if block.get("type") == "thinking":
                text = _block_text(block.get("thinking"))
                if text:
                    self._reason(text, out)
            else:
                text = _block_text(block.get("text"))
                if text:
                    out.append(TextDelta(self._parts.of(PartKind.TEXT), text))


def _block_text(value: Any) -> str:
    """The text of a block: a string, or a list of further blocks."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return ""
    texts = [block.get("text") for block in value if isinstance(block, dict)]
    return "".join(text for text in texts if isinstance(text, str))
