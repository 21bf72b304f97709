"""A whole answer, as a caller reads it."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from llmgateway.v1.content_pb2 import ROLE_ASSISTANT, ContentPart, Message, ToolCall
from llmgateway.v1.generation_service_pb2 import FinishReason as WireFinishReason
from llmgateway.v1.generation_service_pb2 import GenerateResponse
from llmgateway.v1.usage_pb2 import Route, Usage


class FinishReason(enum.StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    """The model was done, or met a stop sequence."""
    LENGTH = "length"
    """`max_output_tokens` or the model's context was used up."""
    TOOL_CALLS = "tool_calls"
    """The model waits for tool results."""
    CONTENT_FILTER = "content_filter"
    """A content filter cut the answer."""
    REFUSAL = "refusal"
    """The model refused to answer."""
    OTHER = "other"
    """Anything else, and every reason newer than this client."""

    @classmethod
    def from_wire(cls, value: int) -> FinishReason:
        """The reason for a number of the contract's enum."""
        try:
            name = WireFinishReason.Name(value)  # type: ignore[arg-type]  # a newer server's number
            return cls(name.removeprefix("FINISH_REASON_").lower())
        except ValueError:
            return cls.OTHER


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: whole from `generate` and `response()`, cut off as `partial` of an error.

    Attributes:
        message: The answer as the contract has it.
        request_id: The id under which the gateway logged the call; empty while it is open.
    """

    message: GenerateResponse
    request_id: str = ""

    @property
    def text(self) -> str:
        """The answer's text."""
        return "".join(part.text for part in self.message.parts if part.HasField("text"))

    @property
    def reasoning(self) -> str:
        """What the model thought, where `include_reasoning` asked and the provider shows it."""
        return "".join(part.reasoning.text for part in self.message.parts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls that the model asks for; their arguments are text that a model wrote."""
        return tuple(part.tool_call for part in self.message.parts if part.HasField("tool_call"))

    @property
    def parts(self) -> Sequence[ContentPart]:
        """All parts, in order."""
        return self.message.parts

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; None if it did not, which only a partial answer can."""
        if not self.message.HasField("finish"):
            return None
        return FinishReason.from_wire(self.message.finish.reason)

    @property
    def usage(self) -> Usage:
        """The tokens, and where known the cost, over all attempts."""
        return self.message.usage

    @property
    def route(self) -> Route:
        """Who answered, after how many attempts, and how fast."""
        return self.message.route

    @property
    def response_id(self) -> str:
        """The answer's id, a ULID."""
        return self.message.response_id

    @property
    def model(self) -> str:
        """The target that answered, as `provider/model`."""
        return self.message.model

    def as_turn(self) -> Message:
        """The answer as an assistant message, to send back with the next turn."""
        return Message(role=ROLE_ASSISTANT, parts=self.message.parts)
