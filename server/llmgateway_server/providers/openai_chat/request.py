"""Puts a generation request into a Chat Completions body.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

import msgspec

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Role, TextPart, ToolCallPart
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from llmgateway_server.providers.openai_account import is_openai
from llmgateway_server.providers.openai_chat.messages import MessageWriter
from llmgateway_server.providers.openai_chat.options import OpenAIChatOptions
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

# What decides who is asked, in which form it answers, and how often it is billed.
_RESERVED_OPTIONS = ("model", "messages", "stream", "n")
# The rest of what OpenAI documents. Compatible servers have settings of their own without number,
# so theirs are passed on unseen.
_OPENAI_OPTIONS = frozenset(
    {
        *("audio", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens"),
        *("max_tokens", "metadata", "modalities", "moderation", "parallel_tool_calls"),
        *("prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier"),
        *("seed", "service_tier", "stop", "store", "stream_options", "temperature"),
        *("tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
        "web_search_options",
    }
)
_MARKS = frozenset({"prefix", "echoed_prefix"})
_SCHEMA_FIELD = "input.output.response_schema_json"
_NO_PARAMETERS = {"type": "object", "properties": {}}


class RequestWriter:
    """Writes the request bodies of one provider."""

    def __init__(self, provider: str, base_url: str, options: OpenAIChatOptions) -> None:
        self._is_openai = is_openai(base_url)
        self._provider = provider
        self._options = options

    def write(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> bytes:
        """The JSON body.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
        """
        messages = MessageWriter(self._provider, self._options).write(request.messages)
        body: Json = {"model": model, "messages": messages}
        if continued_text(request):
            body.update(_continuation(messages, self._options.continuation))
        if stream:
            body["stream"] = True
            if self._options.include_usage:
                body["stream_options"] = {"include_usage": True}
        body.update(self._sampling(request.sampling))
        body.update(self._output(request.output, capabilities))
        body.update(_tool_fields(request, capabilities))
        if request.end_user_id and self._options.end_user_field != "none":
            body[self._options.end_user_field] = request.end_user_id
        body.update(self._provider_options(request))
        return msgspec.json.encode(body)

    def _sampling(self, sampling: Sampling) -> Json:
        if sampling.top_k is not None and self._is_openai:
            raise unsupported(
                "input.sampling.top_k", "top_k", f"{self._provider} has no top_k; leave it unset"
            )
        return said(
            {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "frequency_penalty": sampling.frequency_penalty,
                "presence_penalty": sampling.presence_penalty,
                "top_k": sampling.top_k,
                self._options.seed_field: sampling.seed,
            }
        )

    def _output(self, output: Output, capabilities: Capabilities) -> Json:
        default = "max_completion_tokens" if self._is_openai else "max_tokens"
        limit = self._options.max_tokens_field or capabilities.max_tokens_field or default
        effort = output.reasoning_effort
        return said(
            {
                limit: output.max_output_tokens,
                "stop": output.stop_sequences or None,
                "reasoning_effort": effort.value if effort is not None else None,
                "response_format": _response_format(output, capabilities),
            }
        )

    def _provider_options(self, request: GenerationRequest) -> Json:
        known = _OPENAI_OPTIONS if self._is_openai else None
        return provider_options(
            request.provider_options, self._provider, reserved=_RESERVED_OPTIONS, known=known
        )


def continued_text(request: GenerationRequest) -> str:
    """What the answer goes on from: the text of a last message of the assistant."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role is not Role.ASSISTANT:
        return ""
    if any(isinstance(part, ToolCallPart) for part in last.parts):
        return ""
    return "".join(part.text for part in last.parts if isinstance(part, TextPart))


def _continuation(messages: list[Json], way: str | None) -> Json:
    """The fields that have the server continue the last message, and marks that message."""
    if way == "continue_final_message":
        return {"continue_final_message": True, "add_generation_prompt": False}
    if way in _MARKS:
        messages[-1]["prefix"] = True
    return {}


def _response_format(output: Output, capabilities: Capabilities) -> Json | None:
    match output.response_format:
        case ResponseFormat.JSON_OBJECT:
            return {"type": "json_object"}
        case ResponseFormat.JSON_SCHEMA if capabilities.json_schema is not False:
            schema = json_schema(output.response_schema_json, _SCHEMA_FIELD)
            # Strict: the contract promises the schema's shape, and a hint would not keep it.
            named = {"name": "response", "schema": schema, "strict": True}
            return {"type": "json_schema", "json_schema": named}
        case _:
            return None


def _tool_fields(request: GenerationRequest, capabilities: Capabilities) -> Json:
    tools = [_tool(tool, number) for number, tool in enumerate(request.tools)]
    fields = _tool_choice(request.tool_choice)
    if answers_by_tool(request, capabilities):
        tools.append(_response_tool(request.output))
        named = {"type": "function", "function": {"name": RESPONSE_TOOL}}
        fields["tool_choice"] = "required" if may_call_instead(request) else named
    # The API refuses a choice of no tools; there is none to make.
    return {"tools": tools, **fields} if tools else {}


def _response_tool(output: Output) -> Json:
    function = {
        "name": RESPONSE_TOOL,
        "description": RESPONSE_TOOL_DESCRIPTION,
        "parameters": json_schema(output.response_schema_json, _SCHEMA_FIELD),
    }
    return {"type": "function", "function": function}


def _tool(tool: Tool, number: int) -> Json:
    check_tool_name(tool.name, number)
    field = f"input.tools[{number}].parameters_schema_json"
    text = tool.parameters_schema_json
    function: Json = {
        "name": tool.name,
        "parameters": json_schema(text, field) if text else _NO_PARAMETERS,
    }
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> Json:
    fields: Json = {"parallel_tool_calls": choice.parallel_tool_calls}
    if choice.tool_name:
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.tool_name}}
    elif choice.mode is not None:
        fields["tool_choice"] = choice.mode.value
    return said(fields)
