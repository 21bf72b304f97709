"""Puts a generation request into a Responses body.

Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from llmgateway_server.providers.openai_account import is_openai
from llmgateway_server.providers.openai_responses.items import ItemWriter
from llmgateway_server.providers.request_writing import (
    RESPONSE_TOOL,
    RESPONSE_TOOL_DESCRIPTION,
    Json,
    answers_by_tool,
    check_tool_name,
    json_schema,
    may_call_instead,
    provider_options,
    said,
    unsupported,
)

# What decides who is asked and in which form it answers; and what would have the provider keep
# answers, or read kept ones, which are those of all callers.
_RESERVED_OPTIONS = (
    *("model", "input", "stream", "background"),
    *("store", "include", "previous_response_id", "conversation"),
)
# The rest of what OpenAI documents. Servers that imitate it have settings of their own, so theirs
# are passed on unseen.
_OPENAI_OPTIONS = frozenset(
    {
        *("access_programs", "context_management", "image", "instructions", "max_output_tokens"),
        *("max_tool_calls", "metadata", "moderation", "parallel_tool_calls", "prompt"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning"),
        *("safety_identifier", "service_tier", "stream_options", "temperature", "text"),
        *("tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user"),
    }
)
# Objects of which the caller may set one field and the gateway another.
_SHARED_OPTIONS = ("reasoning", "text")
SAMPLING_WITHOUT_WORD: Final = ("frequency_penalty", "presence_penalty", "top_k", "seed")
_SCHEMA_FIELD = "input.output.response_schema_json"
_NO_PARAMETERS = {"type": "object", "properties": {}}


class RequestWriter:
    """Writes the request bodies of one provider."""

    def __init__(self, provider: str, base_url: str) -> None:
        self._provider = provider
        self._known_options = _OPENAI_OPTIONS if is_openai(base_url) else None

    def write(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> bytes:
        """The JSON body.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
        """
        # Models that do not reason refuse reasoning, and to be asked for it.
        reasons = capabilities.reasoning is not False
        body: Json = {
            "model": model,
            "input": ItemWriter(self._provider, reasons=reasons).write(request.messages),
            # The gateway keeps nothing between calls, so neither does the provider for it.
            "store": False,
        }
        if reasons:
            body["include"] = ["reasoning.encrypted_content"]
        if stream:
            body["stream"] = True
        body.update(self._sampling(request.sampling))
        by_tool = answers_by_tool(request, capabilities)
        has_schema = capabilities.json_schema is not False
        body.update(self._output(request.output, reasons=reasons, has_schema=has_schema))
        body.update(_tool_fields(request, by_tool=by_tool))
        if request.end_user_id:
            # `user` is deprecated here, and refused by some.
            body["safety_identifier"] = request.end_user_id
        return msgspec.json.encode(self._with_options(body, request))

    def _sampling(self, sampling: Sampling) -> Json:
        for name in SAMPLING_WITHOUT_WORD:
            if getattr(sampling, name) is not None:
                raise self._unsupported(f"input.sampling.{name}", name)
        return said({"temperature": sampling.temperature, "top_p": sampling.top_p})

    def _output(self, output: Output, *, reasons: bool, has_schema: bool) -> Json:
        if output.stop_sequences:
            raise self._unsupported("input.output.stop_sequences", "stop_sequences")
        effort = output.reasoning_effort
        reasoning = said(
            {
                "effort": effort.value if effort is not None else None,
                "summary": "auto" if output.include_reasoning and reasons else None,
            }
        )
        text_format = _text_format(output, has_schema=has_schema)
        return said(
            {
                "max_output_tokens": output.max_output_tokens,
                "reasoning": reasoning or None,
                "text": {"format": text_format} if text_format is not None else None,
            }
        )

    def _unsupported(self, field: str, capability: str) -> GatewayError:
        return unsupported(
            field, capability, f"{self._provider} has no {capability}; leave it unset"
        )

    def _with_options(self, body: Json, request: GenerationRequest) -> Json:
        """The body with what the caller adds for this provider, which comes last."""
        options = provider_options(
            request.provider_options,
            self._provider,
            reserved=_RESERVED_OPTIONS,
            known=self._known_options,
        )
        for name in _SHARED_OPTIONS:
            if name in options and name in body:
                options[name] = _merged(body[name], options[name])
        return {**body, **options}


def _merged(ours: Json, theirs: msgspec.Raw) -> Any:
    """Both objects' fields; what is no object is for the provider to judge."""
    try:
        return {**ours, **msgspec.json.decode(theirs, type=dict[str, msgspec.Raw])}
    except (ValueError, RecursionError):
        return theirs


def _text_format(output: Output, *, has_schema: bool) -> Json | None:
    match output.response_format:
        case ResponseFormat.JSON_OBJECT:
            return {"type": "json_object"}
        case ResponseFormat.JSON_SCHEMA if has_schema:
            schema = json_schema(output.response_schema_json, _SCHEMA_FIELD)
            # Strict: the contract promises the schema's shape, and a hint would not keep it.
            return {"type": "json_schema", "name": "response", "schema": schema, "strict": True}
        case _:
            return None


def _tool_fields(request: GenerationRequest, *, by_tool: bool) -> Json:
    tools = [_tool(tool, number) for number, tool in enumerate(request.tools)]
    fields = _tool_choice(request.tool_choice)
    if by_tool:
        tools.append(
            {
                "type": "function",
                "name": RESPONSE_TOOL,
                "description": RESPONSE_TOOL_DESCRIPTION,
                "parameters": json_schema(request.output.response_schema_json, _SCHEMA_FIELD),
                "strict": False,
            }
        )
        named = {"type": "function", "name": RESPONSE_TOOL}
        fields["tool_choice"] = "required" if may_call_instead(request) else named
    # The API refuses a choice of no tools; there is none to make.
    return {"tools": tools, **fields} if tools else {}


def _tool(tool: Tool, number: int) -> Json:
    check_tool_name(tool.name, number)
    field = f"input.tools[{number}].parameters_schema_json"
    text = tool.parameters_schema_json
    function: Json = {
        "type": "function",
        "name": tool.name,
        "parameters": json_schema(text, field) if text else _NO_PARAMETERS,
        # Unsaid it would be true here, which makes every property of the schema a required one.
        "strict": False,
    }
    if tool.description:
        function["description"] = tool.description
    return function


def _tool_choice(choice: ToolChoice) -> Json:
    fields: Json = {"parallel_tool_calls": choice.parallel_tool_calls}
    if choice.tool_name:
        fields["tool_choice"] = {"type": "function", "name": choice.tool_name}
    elif choice.mode is not None:
        fields["tool_choice"] = choice.mode.value
    return said(fields)
