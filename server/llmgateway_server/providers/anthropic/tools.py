"""Tools, and the choice of them; the tool by which a model without structured output gives one.

Where a model cannot be held to a JSON Schema, it is made to call a tool with that schema, and the
decoder turns the call back into the text that it stands for. It knows the call by the tool's name
alone, so the name is reserved.
Source: https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use.
"""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.providers.anthropic.thinking import thinks
from llmgateway_server.providers.request_writing import (
    RESPONSE_TOOL,
    RESPONSE_TOOL_DESCRIPTION,
    Json,
    check_tool_name,
    json_schema,
    may_call_instead,
    unsupported,
)

_FORMAT_FIELD: Final = "input.output.response_format"
_SCHEMA_FIELD: Final = "input.output.response_schema_json"
_NO_PARAMETERS: Final[Json] = {"type": "object", "properties": {}}
_ANY_OBJECT: Final[Json] = {"type": "object", "additionalProperties": True}
_MODES: Final = {ToolMode.AUTO: "auto", ToolMode.NONE: "none", ToolMode.REQUIRED: "any"}


def output_format(output: Output, capabilities: Capabilities) -> Json | None:
    """`output_config.format`, where the model itself keeps to a schema.

    Raises:
        GatewayError: REQUEST_INVALID, the schema is none.
    """
    if (
        output.response_format is not ResponseFormat.JSON_SCHEMA
        or capabilities.json_schema is False
    ):
        return None
    schema = json_schema(output.response_schema_json, _SCHEMA_FIELD)
    return {"type": "json_schema", "schema": schema}


def tool_fields(request: GenerationRequest, capabilities: Capabilities) -> Json:
    """`tools` and `tool_choice`, as far as there are any.

    Raises:
        GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
    """
    tools = [_tool(tool, number) for number, tool in enumerate(request.tools)]
    if _answers_by_tool(request, capabilities):
        _check_forcing(request.output, capabilities)
        tools.append(_response_tool(request.output))
        return {"tools": tools, "tool_choice": _answer_or_call(request)}
    if not tools:
        # The API refuses a choice of no tools; there is none to make.
        return {}
    choice = _tool_choice(request.tool_choice)
    return {"tools": tools, "tool_choice": choice} if choice else {"tools": tools}


def _answers_by_tool(request: GenerationRequest, capabilities: Capabilities) -> bool:
    choice = request.tool_choice
    if choice.tool_name or choice.mode is ToolMode.REQUIRED:
        # This answer is a call of the caller's own tool, whatever its text should look like.
        return False
    match request.output.response_format:
        case ResponseFormat.JSON_OBJECT:
            # The API has schemas only, and none for any object.
            return True
        case ResponseFormat.JSON_SCHEMA:
            return capabilities.json_schema is False
        case _:
            return False


def _check_forcing(output: Output, capabilities: Capabilities) -> None:
    is_schema = output.response_format is ResponseFormat.JSON_SCHEMA
    capability = "json_schema" if is_schema else "json_object"
    if capabilities.forced_tool_choice is False:
        raise unsupported(_FORMAT_FIELD, capability, "this model cannot be held to this form")
    if thinks(output):
        # The API refuses to force a tool on a model that thinks.
        raise unsupported(
            _FORMAT_FIELD,
            capability,
            "this model cannot both think and be held to this form; ask for one of them",
        )


def _response_tool(output: Output) -> Json:
    schema: object = _ANY_OBJECT
    if output.response_format is ResponseFormat.JSON_SCHEMA:
        schema = json_schema(output.response_schema_json, _SCHEMA_FIELD)
    return {
        "name": RESPONSE_TOOL,
        "description": RESPONSE_TOOL_DESCRIPTION,
        "input_schema": schema,
    }


def _answer_or_call(request: GenerationRequest) -> Json:
    """The answer, or a call of one of the caller's tools; not both."""
    named: Json = {"type": "tool", "name": RESPONSE_TOOL}
    forced = {"type": "any"} if may_call_instead(request) else named
    return forced | {"disable_parallel_tool_use": True}


def _tool(tool: Tool, number: int) -> Json:
    field = f"input.tools[{number}]"
    check_tool_name(tool.name, number)
    text = tool.parameters_schema_json
    written: Json = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    written["input_schema"] = (
        json_schema(text, f"{field}.parameters_schema_json") if text else _NO_PARAMETERS
    )
    return written


def _tool_choice(choice: ToolChoice) -> Json | None:
    parallel = choice.parallel_tool_calls
    if choice.tool_name:
        written: Json = {"type": "tool", "name": choice.tool_name}
    elif choice.mode is None and parallel is None:
        return None
    else:
        written = {"type": _MODES[choice.mode or ToolMode.AUTO]}
    if parallel is not None and choice.mode is not ToolMode.NONE:
        written["disable_parallel_tool_use"] = not parallel
    return written
