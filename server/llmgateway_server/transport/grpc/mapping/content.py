"""Messages and content parts, both ways."""

from __future__ import annotations

from llmgateway.v1 import content_pb2 as pb
from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.transport.grpc.mapping.violations import Violations

ROLES = {
    pb.ROLE_SYSTEM: Role.SYSTEM,
    pb.ROLE_USER: Role.USER,
    pb.ROLE_ASSISTANT: Role.ASSISTANT,
    pb.ROLE_TOOL: Role.TOOL,
}
# What a message of each role may hold, by the names of ContentPart's fields.
_ALLOWED = {
    Role.SYSTEM: frozenset({"text"}),
    Role.USER: frozenset({"text", "media"}),
    Role.ASSISTANT: frozenset({"text", "reasoning", "tool_call", "media"}),
    Role.TOOL: frozenset({"tool_result"}),
}
_IN_TOOL_RESULT = frozenset({"text", "media"})


def message_from(proto: pb.Message, path: str, violations: Violations) -> Message | None:
    """A message; None, with findings, where it is not valid."""
    role = ROLES.get(proto.role)
    if role is None:
        violations.add(f"{path}.role", "must be SYSTEM, USER, ASSISTANT or TOOL")
        return None
    if not proto.parts:
        violations.add(f"{path}.parts", "must have at least one part")
    parts: list[Part] = []
    for index, part in enumerate(proto.parts):
        where = f"{path}.parts[{index}]"
        kind = part.WhichOneof("kind")
        if kind is None:
            violations.add(where, "has no kind that this server knows")
        elif kind not in _ALLOWED[role]:
            violations.add(
                f"{where}.{kind}",
                f"a message of role {role.name} holds {_or(_ALLOWED[role])} only",
            )
        else:
            parts.append(_part_from(part, kind, where, violations))
    return Message(role, tuple(parts))


def _or(names: frozenset[str]) -> str:
    return " or ".join(sorted(names))


def _part_from(proto: pb.ContentPart, kind: str, path: str, violations: Violations) -> Part:
    breakpoint_ = proto.cache_breakpoint
    match kind:
        case "text":
            return TextPart(proto.text, breakpoint_)
        case "media":
            return _media_from(proto, path, violations)
        case "reasoning":
            reasoning = proto.reasoning
            if reasoning.signature and not reasoning.signature_provider:
                violations.add(
                    f"{path}.reasoning.signature_provider", "is required with a signature"
                )
            return ReasoningPart(
                reasoning.text, reasoning.signature, reasoning.signature_provider, breakpoint_
            )
        case "tool_call":
            return _tool_call_from(proto, path, violations)
        case _:
            return _tool_result_from(proto, path, violations)


def _tool_call_from(proto: pb.ContentPart, path: str, violations: Violations) -> ToolCallPart:
    call = proto.tool_call
    if not call.tool_call_id:
        violations.add(f"{path}.tool_call.tool_call_id", "is required")
    if not call.name:
        violations.add(f"{path}.tool_call.name", "is required")
    arguments = call.arguments_json or "{}"
    violations.json_object(f"{path}.tool_call.arguments_json", arguments)
    return ToolCallPart(call.tool_call_id, call.name, arguments, proto.cache_breakpoint)


def _tool_result_from(proto: pb.ContentPart, path: str, violations: Violations) -> ToolResultPart:
    result = proto.tool_result
    if not result.tool_call_id:
        violations.add(f"{path}.tool_result.tool_call_id", "is required")
    if not result.parts:
        violations.add(f"{path}.tool_result.parts", "must have at least one part")
    parts: list[TextPart | MediaPart] = []
    for index, part in enumerate(result.parts):
        where = f"{path}.tool_result.parts[{index}]"
        kind = part.WhichOneof("kind")
        if kind == "text":
            parts.append(TextPart(part.text, part.cache_breakpoint))
        elif kind == "media":
            parts.append(_media_from(part, where, violations))
        else:
            violations.add(where, f"a tool result holds {_or(_IN_TOOL_RESULT)} only")
    return ToolResultPart(
        result.tool_call_id, tuple(parts), result.is_error, proto.cache_breakpoint
    )


def _media_from(proto: pb.ContentPart, path: str, violations: Violations) -> MediaPart:
    media = proto.media
    source = media.WhichOneof("source")
    if source is None:
        violations.add(f"{path}.media", "must have data or uri")
    elif source == "data":
        if not media.mime_type:
            violations.add(f"{path}.media.mime_type", 'is required with data, such as "image/png"')
        if not media.data:
            violations.add(f"{path}.media.data", "must not be empty")
    elif not media.uri:
        violations.add(f"{path}.media.uri", "must not be empty")
    return MediaPart(
        media.mime_type,
        media.data if source == "data" else None,
        media.uri if source == "uri" else None,
        proto.cache_breakpoint,
    )


def part_to(part: Part) -> pb.ContentPart:
    """A part of an answer."""
    match part:
        case TextPart():
            return pb.ContentPart(text=part.text)
        case ReasoningPart():
            return pb.ContentPart(
                reasoning=pb.ReasoningPart(
                    text=part.text,
                    signature=part.signature,
                    signature_provider=part.signature_provider,
                )
            )
        case ToolCallPart():
            return pb.ContentPart(
                tool_call=pb.ToolCall(
                    tool_call_id=part.tool_call_id,
                    name=part.name,
                    arguments_json=part.arguments_json,
                )
            )
        case _:
            raise TypeError(f"an answer holds no {type(part).__name__}")
