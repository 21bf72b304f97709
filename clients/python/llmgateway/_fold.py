"""Law 1 of the stream: a whole answer is the fold of its messages. No I/O."""

from __future__ import annotations

from llmgateway.v1.content_pb2 import ContentPart, ReasoningPart, ToolCall
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_KIND_RESTARTED,
    Delta,
    GenerateResponse,
    GenerateStreamResponse,
)


class _OpenPart:
    """A part that still grows; its pieces are joined once, so that long answers stay linear."""

    __slots__ = ("kind", "name", "pieces", "signature", "signature_provider", "tool_call_id")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.signature = bytearray()
        self.signature_provider = ""
        self.tool_call_id = ""
        self.name = ""

    def append(self, delta: Delta, provider: str) -> None:
        match delta.WhichOneof("delta"):
            case "text":
                self.pieces.append(delta.text)
            case "reasoning":
                self.pieces.append(delta.reasoning)
            case "reasoning_signature":
                self.signature += delta.reasoning_signature
                self.signature_provider = provider
            case "tool_call":
                self.tool_call_id = self.tool_call_id or delta.tool_call.tool_call_id
                self.name = self.name or delta.tool_call.name
                self.pieces.append(delta.tool_call.arguments_json)

    def close(self) -> ContentPart:
        text = "".join(self.pieces)
        match self.kind:
            case "text":
                return ContentPart(text=text)
            case "tool_call":
                call = ToolCall(tool_call_id=self.tool_call_id, name=self.name, arguments_json=text)
                return ContentPart(tool_call=call)
            case _:
                reasoning = ReasoningPart(
                    text=text,
                    signature=bytes(self.signature),
                    signature_provider=self.signature_provider,
                )
                return ContentPart(reasoning=reasoning)


class Fold:
    """Collects a stream's messages into one answer, which may be read at any moment."""

    def __init__(self) -> None:
        self._parts: dict[int, _OpenPart] = {}
        # All of the answer but its parts.
        self._answer = GenerateResponse()

    @property
    def started(self) -> bool:
        """Whether a message that is not a heartbeat has come."""
        return bool(self._answer.response_id or self._parts)

    @property
    def finished(self) -> bool:
        """Whether the finish has come."""
        return self._answer.HasField("finish")

    def add(self, message: GenerateStreamResponse) -> None:
        """Takes the stream's next message."""
        if message.HasField("start"):
            self._answer.response_id = message.start.response_id
            self._answer.model = message.start.model
            self._answer.route.CopyFrom(message.start.route)
        if message.HasField("recovery"):
            self._answer.route.CopyFrom(message.recovery.route)
            if message.recovery.kind == RECOVERY_KIND_RESTARTED:
                self._parts.clear()
        for delta in message.deltas:
            self._append(delta)
        if message.HasField("usage"):
            self._answer.usage.CopyFrom(message.usage)
        if message.HasField("finish"):
            self._answer.finish.CopyFrom(message.finish)

    def _append(self, delta: Delta) -> None:
        kind = delta.WhichOneof("delta")
        if kind is None:  # a kind newer than this client
            return
        part = self._parts.get(delta.part_index)
        if part is None:
            part = self._parts[delta.part_index] = _OpenPart(kind)
        part.append(delta, self._answer.route.provider)

    def answer(self) -> GenerateResponse:
        """The answer so far; whole once `finished`."""
        answer = GenerateResponse()
        answer.CopyFrom(self._answer)
        answer.parts.extend(part.close() for _, part in sorted(self._parts.items()))
        return answer
