"""Puts a generation request into a Chat Completions body.

Source: https://platform.openai.com/docs/api-reference/chat/create.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec

from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from llmgateway_server.providers.openai_chat.messages import (
    Json,
    MessageWriter,
    invalid,
    unsupported,
)
from llmgateway_server.providers.openai_chat.options import OpenAIChatOptions

_OPENAI_HOST = "api.openai.com"
_AZURE_DOMAINS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")
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
_NO_PARAMETERS = {"type": "object", "properties": {}}


class RequestWriter:
    """Writes the request bodies of one provider."""

    def __init__(self, provider: str, base_url: str, options: OpenAIChatOptions) -> None:
        host = (urlsplit(base_url).hostname or "").lower()
        self._is_openai = host == _OPENAI_HOST or host.endswith(_AZURE_DOMAINS)
        default = "max_completion_tokens" if self._is_openai else "max_tokens"
        self._provider = provider
        self._max_tokens_field = options.max_tokens_field or default
        self._include_usage = options.include_usage
        self._system_role = options.system_role

    def write(self, request: GenerationRequest, model: str, *, stream: bool) -> bytes:
        """The JSON body.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
        """
        body: Json = {
            "model": model,
            "messages": MessageWriter(self._system_role).write(request.messages),
        }
        if stream:
            body["stream"] = True
            if self._include_usage:
                body["stream_options"] = {"include_usage": True}
        body.update(self._sampling(request.sampling))
        body.update(self._output(request.output))
        if request.tools:
            body["tools"] = [_tool(tool, number) for number, tool in enumerate(request.tools)]
        body.update(_tool_choice(request.tool_choice))
        if request.end_user_id:
            body["user"] = request.end_user_id
        body.update(self._provider_options(request))
        return msgspec.json.encode(body)

    def _sampling(self, sampling: Sampling) -> Json:
        if sampling.top_k is not None and self._is_openai:
            raise unsupported(
                "input.sampling.top_k", "top_k", f"{self._provider} has no top_k; leave it unset"
            )
        return _said(
            {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "frequency_penalty": sampling.frequency_penalty,
                "presence_penalty": sampling.presence_penalty,
                "top_k": sampling.top_k,
                "seed": sampling.seed,
            }
        )

    def _output(self, output: Output) -> Json:
        effort = output.reasoning_effort
        return _said(
            {
                self._max_tokens_field: output.max_output_tokens,
                "stop": output.stop_sequences or None,
                "reasoning_effort": effort.value if effort is not None else None,
                "response_format": _response_format(output),
            }
        )

    def _provider_options(self, request: GenerationRequest) -> dict[str, msgspec.Raw]:
        """What the caller adds for this provider alone, in the provider's own words."""
        field = "input.provider_options_json"
        merged: dict[str, msgspec.Raw] = {}
        for provider, text in request.provider_options:
            if provider != self._provider:
                continue
            try:
                options = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            except (ValueError, RecursionError):
                raise invalid(field, f"the options of {provider!r} are no JSON object") from None
            for name in _RESERVED_OPTIONS:
                if name in options:
                    raise invalid(
                        field, f"the options of {provider!r} cannot set {name!r}; leave it out"
                    )
            unknown = sorted(options.keys() - _OPENAI_OPTIONS) if self._is_openai else []
            if unknown:
                raise invalid(
                    field, f"{provider!r} has no option {unknown[0]!r}; leave it out or correct it"
                )
            merged.update(options)
        return merged


def _said(fields: Json) -> Json:
    """The fields that have a value; null would not mean the default everywhere."""
    return {name: value for name, value in fields.items() if value is not None}


def _response_format(output: Output) -> Json | None:
    match output.response_format:
        case ResponseFormat.JSON_OBJECT:
            return {"type": "json_object"}
        case ResponseFormat.JSON_SCHEMA:
            schema = _schema(output.response_schema_json, "input.output.response_schema_json")
            # Strict: the contract promises the schema's shape, and a hint would not keep it.
            named = {"name": "response", "schema": schema, "strict": True}
            return {"type": "json_schema", "json_schema": named}
        case _:
            return None


def _tool(tool: Tool, number: int) -> Json:
    field = f"input.tools[{number}].parameters_schema_json"
    text = tool.parameters_schema_json
    function: Json = {
        "name": tool.name,
        "parameters": _schema(text, field) if text else _NO_PARAMETERS,
    }
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _schema(text: str, field: str) -> msgspec.Raw:
    """JSON Schema text as it stands: decoding and encoding it again could change it."""
    data = text.encode()
    try:
        schema: Any = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise invalid(field, "write a JSON Schema, which is a JSON object")
    return msgspec.Raw(data)


def _tool_choice(choice: ToolChoice) -> Json:
    fields: Json = {"parallel_tool_calls": choice.parallel_tool_calls}
    if choice.tool_name:
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.tool_name}}
    elif choice.mode is not None:
        fields["tool_choice"] = choice.mode.value
    return _said(fields)
