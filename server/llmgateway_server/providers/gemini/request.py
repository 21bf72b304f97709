"""Puts a generation request into a GenerateContentRequest.

Source: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.providers.gemini.messages import MessageWriter
from llmgateway_server.providers.request_writing import (
    Json,
    invalid,
    json_schema,
    provider_options,
    said,
    unsupported,
)

_MAX_STOP_SEQUENCES: Final = 5

# Where nothing is said of a model: whether its name is one of the third generation or later.
_THIRD_GENERATION: Final = re.compile(r"(?:models/)?gemini-(?:[3-9]|[1-9][0-9])\b")

# Google's own table for OpenAI's efforts, https://ai.google.dev/gemini-api/docs/openai#thinking;
# more than `high` is not in it, and is more than some models take.
_BUDGETS: Final = {
    ReasoningEffort.NONE: 0,
    ReasoningEffort.MINIMAL: 1024,
    ReasoningEffort.LOW: 1024,
    ReasoningEffort.MEDIUM: 8192,
    ReasoningEffort.HIGH: 24576,
    ReasoningEffort.XHIGH: 24576,
    ReasoningEffort.MAX: 24576,
}
# These models always think; the least that they can is minimal.
_LEVELS: Final = {
    ReasoningEffort.NONE: "MINIMAL",
    ReasoningEffort.MINIMAL: "MINIMAL",
    ReasoningEffort.LOW: "LOW",
    ReasoningEffort.MEDIUM: "MEDIUM",
    ReasoningEffort.HIGH: "HIGH",
    ReasoningEffort.XHIGH: "XHIGH",
    ReasoningEffort.MAX: "XHIGH",
}
_MODES: Final = {ToolMode.AUTO: "AUTO", ToolMode.NONE: "NONE", ToolMode.REQUIRED: "ANY"}

# What decides who is asked, and what.
_RESERVED_OPTIONS: Final = ("model", "contents", "systemInstruction")
_OPTIONS: Final = frozenset(
    {
        *("cachedContent", "generationConfig", "safetySettings", "serviceTier", "store"),
        *("toolConfig", "tools"),
    }
)
# How often it is billed, in both spellings that JSON has for a field of a protobuf message.
_RESERVED_CONFIG: Final = ("candidateCount", "candidate_count")


class RequestWriter:
    """Writes the request bodies of one provider."""

    def __init__(self, provider: str, base_url: str) -> None:
        self._provider = provider
        self._base_url = base_url.rstrip("/")

    def write(self, request: GenerationRequest, model: str, capabilities: Capabilities) -> Json:
        """The body, ready to be encoded; `end_user_id` and cache breakpoints have no word here.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
        """
        third_generation = _is_third_generation(model, capabilities)
        messages = MessageWriter(self._provider, self._base_url, third_generation=third_generation)
        messages.write(request.messages)
        config = {
            **_sampling(request.sampling),
            **_output(request.output),
            **_thinking(request.output, capabilities, leveled=third_generation),
        }
        body: Json = {"contents": messages.contents}
        if messages.system:
            body["systemInstruction"] = {"parts": messages.system}
        if request.tools:
            declarations = [_tool(tool, number) for number, tool in enumerate(request.tools)]
            body["tools"] = [{"functionDeclarations": declarations}]
            body.update(_tool_config(request.tool_choice))
        options = self._options(request)
        config.update(_config_options(options.pop("generationConfig", None)))
        if config:
            body["generationConfig"] = config
        body.update(options)
        return body

    def _options(self, request: GenerationRequest) -> Json:
        return provider_options(
            request.provider_options, self._provider, reserved=_RESERVED_OPTIONS, known=_OPTIONS
        )


def _is_third_generation(model: str, capabilities: Capabilities) -> bool:
    """Whether the model has levels of thinking; what came with them goes by the same test.

    Where neither its capabilities nor its name tell, a budget is said: Google takes that from all.
    """
    if capabilities.thinking is not None:
        return capabilities.thinking is ThinkingStyle.LEVEL
    return _THIRD_GENERATION.match(model) is not None


def _sampling(sampling: Sampling) -> Json:
    return said(
        {
            "temperature": sampling.temperature,
            "topP": sampling.top_p,
            "topK": sampling.top_k,
            "frequencyPenalty": sampling.frequency_penalty,
            "presencePenalty": sampling.presence_penalty,
            "seed": sampling.seed,
        }
    )


def _output(output: Output) -> Json:
    stops = output.stop_sequences
    if len(stops) > _MAX_STOP_SEQUENCES:
        raise unsupported(
            "input.output.stop_sequences",
            "stop_sequences",
            f"Gemini takes {_MAX_STOP_SEQUENCES} at most, not {len(stops)}",
        )
    fields: Json = {"maxOutputTokens": output.max_output_tokens, "stopSequences": stops or None}
    if output.response_format in {ResponseFormat.JSON_OBJECT, ResponseFormat.JSON_SCHEMA}:
        fields["responseMimeType"] = "application/json"
    if output.response_format is ResponseFormat.JSON_SCHEMA:
        fields["responseJsonSchema"] = json_schema(
            output.response_schema_json, "input.output.response_schema_json"
        )
    return said(fields)


def _thinking(output: Output, capabilities: Capabilities, *, leveled: bool) -> Json:
    fields: Json = {}
    effort = output.reasoning_effort
    if effort is not None and leveled:
        fields["thinkingLevel"] = _LEVELS[effort]
    elif effort is not None:
        fields["thinkingBudget"] = _BUDGETS[effort]
    if output.include_reasoning and capabilities.reasoning is not False:
        fields["includeThoughts"] = True
    return {"thinkingConfig": fields} if fields else {}


def _tool(tool: Tool, number: int) -> Json:
    declaration: Json = {"name": tool.name}
    if tool.description:
        declaration["description"] = tool.description
    if tool.parameters_schema_json:
        declaration["parametersJsonSchema"] = json_schema(
            tool.parameters_schema_json, f"input.tools[{number}].parameters_schema_json"
        )
    return declaration


def _tool_config(choice: ToolChoice) -> Json:
    if choice.parallel_tool_calls is False:
        raise unsupported(
            "input.tool_choice.parallel_tool_calls",
            "parallel_tool_calls",
            "Gemini cannot be kept from calling several tools at once; leave it unset",
        )
    config: Json = {}
    if choice.tool_name:
        config = {"mode": "ANY", "allowedFunctionNames": [choice.tool_name]}
    elif choice.mode is not None:
        config = {"mode": _MODES[choice.mode]}
    return {"toolConfig": {"functionCallingConfig": config}} if config else {}


def _config_options(text: msgspec.Raw | None) -> Json:
    """The caller's own generationConfig, whose fields are merged with ours one by one."""
    if text is None:
        return {}
    field = "input.provider_options_json"
    try:
        config: Json = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (ValueError, RecursionError):
        raise invalid(field, "generationConfig is no JSON object") from None
    for name in _RESERVED_CONFIG:
        if name in config:
            raise invalid(field, f"generationConfig cannot set {name!r}; leave it out")
    return config
