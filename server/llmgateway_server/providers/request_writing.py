"""What the request writers of all dialects share: refusals, raw JSON, a caller's own options."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import (
    MediaPart,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.errors import GatewayError, Reason, Violation
from llmgateway_server.domain.request import GenerationRequest, ResponseFormat, ToolMode

Json = dict[str, Any]

# Where a model cannot be held to a JSON Schema, it is made to call a tool with that schema, and the
# decoder, which knows the call by this name alone, turns it back into the text that it stands for.
RESPONSE_TOOL: Final = "llmgateway_response"
RESPONSE_TOOL_DESCRIPTION: Final = (
    "Gives your answer to the user. Its arguments are the whole answer."
)

_KINDS: dict[type, str] = {
    TextPart: "text",
    ReasoningPart: "reasoning",
    ToolCallPart: "a tool call",
    ToolResultPart: "a tool result",
    MediaPart: "media",
}


def invalid(field: str, description: str) -> GatewayError:
    """The error of one field that cannot be sent as it is."""
    return GatewayError(
        Reason.REQUEST_INVALID,
        f"{field}: {description}",
        violations=(Violation(field, description),),
    )


def unsupported(field: str, capability: str, description: str) -> GatewayError:
    """The error of a field that the provider has no word for."""
    return GatewayError(
        Reason.CAPABILITY_UNSUPPORTED,
        f"{field}: {description}",
        metadata=(("capability", capability), ("field", field)),
    )


def misplaced(field: str, part: Part, role: Role) -> GatewayError:
    """The error of a part that a message of this role cannot hold."""
    return invalid(field, f"{_KINDS[type(part)]} cannot be part of a message of role {role.name}")


def said(fields: Json) -> Json:
    """The fields that have a value; null would not mean the default everywhere."""
    return {name: value for name, value in fields.items() if value is not None}


def json_schema(text: str, field: str) -> msgspec.Raw:
    """JSON Schema text as it stands: decoding and encoding it again could change it.

    Raises:
        GatewayError: REQUEST_INVALID, it is no JSON object.
    """
    data = text.encode()
    try:
        schema: Any = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise invalid(field, "write a JSON Schema, which is a JSON object")
    return msgspec.Raw(data)


def answers_by_tool(request: GenerationRequest, capabilities: Capabilities) -> bool:
    """Whether a call has to stand in for the JSON Schema that the model cannot be held to.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, it cannot be made to call a tool either.
    """
    wants_schema = request.output.response_format is ResponseFormat.JSON_SCHEMA
    choice = request.tool_choice
    # A forced call of the caller's own tool has no text that a schema could shape.
    is_forced = bool(choice.tool_name) or choice.mode is ToolMode.REQUIRED
    if not wants_schema or capabilities.json_schema is not False or is_forced:
        return False
    if capabilities.forced_tool_choice is False or capabilities.tools is False:
        raise unsupported(
            "input.output.response_format",
            "json_schema",
            "this model cannot be held to a schema; leave it unset or name another model",
        )
    return True


def may_call_instead(request: GenerationRequest) -> bool:
    """Whether a model that answers by a tool may call one of the caller's in place of it."""
    return bool(request.tools) and request.tool_choice.mode is not ToolMode.NONE


def check_tool_name(name: str, number: int) -> None:
    """Refuses the name of the gateway's own tool for one of the caller's, the `number`th.

    Raises:
        GatewayError: REQUEST_INVALID.
    """
    if name == RESPONSE_TOOL:
        raise invalid(
            f"input.tools[{number}].name", f"{RESPONSE_TOOL!r} is the gateway's own; choose another"
        )


def provider_options(
    options: tuple[tuple[str, bytes], ...],
    provider: str,
    *,
    reserved: Collection[str],
    known: Collection[str] | None,
    field: str = "input.provider_options_json",
) -> Json:
    """What the caller adds to the body for this provider alone, in the provider's own words.

    Args:
        options: Those of the request, for all providers.
        provider: Whose are wanted.
        reserved: Fields that only the gateway sets.
        known: All others that the provider has, where that is known.
        field: What the caller calls them.

    Raises:
        GatewayError: REQUEST_INVALID, one is reserved or unknown, or they are no JSON object.
    """
    merged: Json = {}
    for name, text in options:
        if name != provider:
            continue
        try:
            mine = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except (ValueError, RecursionError):
            raise invalid(field, f"the options of {provider!r} are no JSON object") from None
        for key in reserved:
            if key in mine:
                raise invalid(
                    field, f"the options of {provider!r} cannot set {key!r}; leave it out"
                )
        unknown = sorted(mine.keys() - set(known)) if known is not None else []
        if unknown:
            raise invalid(
                field, f"{provider!r} has no option {unknown[0]!r}; leave it out or correct it"
            )
        merged.update(mine)
    return merged
