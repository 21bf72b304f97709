"""What is known of an answer while it comes in: content blocks in, events out."""

from __future__ import annotations

import enum

from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.anthropic.finish import finish
from llmgateway_server.providers.anthropic.signature import REDACTED, THINKING, sealed
from llmgateway_server.providers.anthropic.usage import UsageTally
from llmgateway_server.providers.anthropic.wire import Block, Delta
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.part_index import PartIndex, PartKind
from llmgateway_server.providers.request_writing import RESPONSE_TOOL


class _Kind(enum.Enum):
    TEXT = enum.auto()
    THINKING = enum.auto()
    CALL = enum.auto()
    RESPONSE = enum.auto()
    OTHER = enum.auto()


# Of servers that imitate the API, some write none so.
_NO_ARGUMENTS = frozenset({"null", '""', "[]"})
_KINDS = {"text": _Kind.TEXT, THINKING: _Kind.THINKING, "tool_use": _Kind.CALL}


class _OpenBlock:
    """A block that has begun and not ended."""

    __slots__ = ("input", "kind", "part_index", "signature")

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        self.part_index = -1
        self.signature = ""
        # What the start said of a call's arguments; they count where no piece follows.
        self.input = ""


class Assembly:
    """One answer, from its first block to its finish.

    Each block of thinking is a part of its own, since each has its own signature; neighbouring
    blocks of text, of which citations make many, are one part. Blocks of types that the contract
    has no part for are not heard, and neither is what is added to them.
    """

    def __init__(self) -> None:
        self.tally = UsageTally()
        self.stop_word = ""
        self.stop_sequence = ""
        self._parts = PartIndex()
        self._blocks: dict[int, _OpenBlock] = {}
        # Of the open blocks, those to which text may not be added, as to nearly none it is.
        self._deaf: set[int] = set()
        self._call_count = 0
        self._answered_by_tool = False
        # Neighbouring pieces of text, told as one.
        self._run: list[str] = []

    def add_text(self, index: int, text: str) -> None:
        """Takes more text of a block, for `flush` to tell."""
        if text and index not in self._deaf:
            self._run.append(text)

    def flush(self, out: list[ProviderEvent]) -> None:
        """Appends the text added since the last time."""
        if self._run:
            out.append(TextDelta(self._parts.of(PartKind.TEXT), "".join(self._run)))
            self._run.clear()

    def start(self, index: int, block: Block, out: list[ProviderEvent]) -> None:
        """Begins a block, with what its start already holds.

        Raises:
            WireError: a tool call has no name.
        """
        if index in self._blocks:
            self.stop(index, out)
        kind = _KINDS.get(block.type, _Kind.OTHER)
        if kind is _Kind.CALL and block.name == RESPONSE_TOOL:
            kind = _Kind.RESPONSE
        self._blocks[index] = opened = _OpenBlock(kind)
        if kind is not _Kind.TEXT:
            self._deaf.add(index)
        match kind:
            case _Kind.TEXT:
                self.add_text(index, block.text or "")
            case _Kind.THINKING:
                opened.signature = block.signature or ""
                self._add_thinking(opened, block.thinking or "", out)
            case _Kind.CALL:
                opened.input = _arguments(block)
                self._open_call(opened, block, out)
            case _Kind.RESPONSE:
                opened.input = _arguments(block)
                self._answered_by_tool = True
            case _:
                if block.type == REDACTED and block.data:
                    self.flush(out)
                    signature = sealed(REDACTED, block.data)
                    out.append(SignatureDelta(self._parts.open(), signature))

    def add(self, index: int, delta: Delta, out: list[ProviderEvent]) -> None:
        """Takes what is added to a block that is not text."""
        block = self._blocks.get(index)
        if block is None:
            return
        match block.kind, delta.type:
            case _Kind.THINKING, "thinking_delta":
                self._add_thinking(block, delta.thinking or "", out)
            case _Kind.THINKING, "signature_delta":
                block.signature = delta.signature or block.signature
            case _Kind.CALL, "input_json_delta" if delta.partial_json:
                block.input = ""
                self.flush(out)
                out.append(ToolCallDelta(block.part_index, arguments_json=delta.partial_json))
            case _Kind.RESPONSE, "input_json_delta" if delta.partial_json:
                block.input = ""
                self._run.append(delta.partial_json)

    def stop(self, index: int, out: list[ProviderEvent]) -> None:
        """Ends a block."""
        block = self._blocks.pop(index, None)
        if block is None:
            return
        self._deaf.discard(index)
        if block.signature:
            self.flush(out)
            self._open_part(block)
            out.append(SignatureDelta(block.part_index, sealed(THINKING, block.signature)))
        elif block.input and block.kind is _Kind.CALL:
            self.flush(out)
            out.append(ToolCallDelta(block.part_index, arguments_json=block.input))
        elif block.input:
            self._run.append(block.input)

    def close(self, out: list[ProviderEvent]) -> None:
        """Ends the answer: the usage, where there is any, and the finish."""
        for index in list(self._blocks):
            self.stop(index, out)
        self.flush(out)
        if self.tally.usage is not None:
            out.append(self.tally.usage)
        out.append(
            finish(
                self.stop_word,
                self.stop_sequence,
                has_calls=self._call_count > 0,
                answered_by_tool=self._answered_by_tool,
            )
        )

    def _add_thinking(self, block: _OpenBlock, text: str, out: list[ProviderEvent]) -> None:
        if text:
            self.flush(out)
            self._open_part(block)
            out.append(ReasoningDelta(block.part_index, text))

    def _open_call(self, opened: _OpenBlock, block: Block, out: list[ProviderEvent]) -> None:
        if not block.name:
            raise WireError(
                Failure(Reason.PROVIDER_PROTOCOL_ERROR, "it sent a tool call without a name")
            )
        self.flush(out)
        self._open_part(opened)
        # A caller needs an id to answer the call, whether or not the server gives one.
        call_id = block.id or f"toolu_{self._call_count}"
        self._call_count += 1
        out.append(ToolCallDelta(opened.part_index, call_id, block.name))

    def _open_part(self, block: _OpenBlock) -> None:
        if block.part_index < 0:
            block.part_index = self._parts.open()


def _arguments(block: Block) -> str:
    """The arguments that a block holds, as the server wrote them: an empty object for none.

    Raises:
        WireError: they are no JSON object.
    """
    try:
        text = bytes(block.input).decode()
    except UnicodeDecodeError:
        text = ""
    if text in _NO_ARGUMENTS:
        return "{}"
    if not text.startswith("{"):
        raise WireError(
            Failure(Reason.PROVIDER_PROTOCOL_ERROR, "it sent a tool call without arguments")
        )
    return text
