"""How large a request is, for estimates before anyone has counted."""

from __future__ import annotations

from llmgateway_server.domain.content import ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from llmgateway_server.domain.request import GenerationRequest


def input_bytes(request: GenerationRequest) -> int:
    """The text of a request; media count for nothing, since their price is not their size."""
    size = sum(len(tool.description) + len(tool.parameters_schema_json) for tool in request.tools)
    for message in request.messages:
        for part in message.parts:
            match part:
                case TextPart() | ReasoningPart():
                    size += len(part.text.encode())
                case ToolCallPart():
                    size += len(part.arguments_json.encode())
                case ToolResultPart():
                    size += sum(
                        len(each.text.encode()) for each in part.parts if isinstance(each, TextPart)
                    )
    return size
