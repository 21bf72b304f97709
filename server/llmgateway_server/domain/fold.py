"""Law 1: a whole answer is the fold of its stream."""

from __future__ import annotations

from llmgateway_server.domain.answer import Answer, Finish, Route, Usage
from llmgateway_server.domain.content import Part, ReasoningPart, TextPart, ToolCallPart
from llmgateway_server.domain.events import (
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)


class _OpenPart:
    """A part that is still growing; strings are collected and joined once."""

    def __init__(self) -> None:
        self.kind: type[Part] = TextPart
        self.text: list[str] = []
        self.signature = bytearray()
        self.signature_provider = ""
        self.tool_call_id = ""
        self.name = ""

    def close(self) -> Part:
        text = "".join(self.text)
        if self.kind is ToolCallPart:
            return ToolCallPart(self.tool_call_id, self.name, text)
        if self.kind is ReasoningPart:
            return ReasoningPart(text, bytes(self.signature), self.signature_provider)
        return TextPart(text)


class Fold:
    """Collects stream events; `answer()` once the finish has come."""

    def __init__(self) -> None:
        self._parts: dict[int, _OpenPart] = {}
        self._start: StreamStart | None = None
        self._route: Route | None = None
        self._usage = Usage()
        self._finish: Finish | None = None

    @property
    def finished(self) -> bool:
        """Whether the last event of the stream has been added."""
        return self._finish is not None

    def add(self, event: StreamEvent) -> None:
        """Takes the next event, in stream order."""
        match event:
            case TextDelta() | ReasoningDelta() | SignatureDelta() | ToolCallDelta():
                self._append(event)
            case StreamStart():
                self._start = event
                self._route = event.route
            case Recovery():
                self._route = event.route
                if event.kind is RecoveryKind.RESTARTED:
                    self._parts.clear()
            case Usage():
                self._usage = event
            case Finish():
                self._finish = event

    def _append(self, delta: TextDelta | ReasoningDelta | SignatureDelta | ToolCallDelta) -> None:
        part = self._parts.get(delta.part_index)
        if part is None:
            part = self._parts[delta.part_index] = _OpenPart()
        match delta:
            case TextDelta():
                part.text.append(delta.text)
            case ReasoningDelta():
                part.kind = ReasoningPart
                part.text.append(delta.text)
            case SignatureDelta():
                part.kind = ReasoningPart
                part.signature += delta.signature
                part.signature_provider = self._route.provider if self._route else ""
            case ToolCallDelta():
                part.kind = ToolCallPart
                part.tool_call_id = part.tool_call_id or delta.tool_call_id
                part.name = part.name or delta.name
                part.text.append(delta.arguments_json)

    def answer(self) -> Answer:
        """The whole answer.

        Raises:
            ValueError: the stream has not come to its finish.
        """
        if self._start is None or self._route is None or self._finish is None:
            raise ValueError("a stream without start or finish has no answer")
        return Answer(
            response_id=self._start.response_id,
            model=self._start.model,
            parts=tuple(part.close() for _, part in sorted(self._parts.items())),
            finish=self._finish,
            usage=self._usage,
            route=self._route,
        )
