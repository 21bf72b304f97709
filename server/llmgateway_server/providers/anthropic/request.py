"""Puts a generation request into a Messages body.

Source: https://platform.claude.com/docs/en/api/messages/create,
https://platform.claude.com/docs/en/api/messages/count_tokens.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
from llmgateway_server.domain.request import GenerationRequest, Sampling
from llmgateway_server.providers.anthropic.messages import Prompt, PromptWriter
from llmgateway_server.providers.anthropic.options import AnthropicOptions
from llmgateway_server.providers.anthropic.thinking import effort_word, thinking
from llmgateway_server.providers.anthropic.tools import output_format, tool_fields
from llmgateway_server.providers.request_writing import Json, provider_options, said, unsupported

_ANTHROPIC_HOST: Final = "api.anthropic.com"
# What decides who is asked, and in which form it answers.
_RESERVED_OPTIONS: Final = ("model", "messages", "stream", "system")
# The rest of what Anthropic documents, betas included. Other servers' own are passed on unseen.
_ANTHROPIC_OPTIONS: Final = frozenset(
    {
        *("cache_control", "container", "context_management", "inference_geo", "max_tokens"),
        *("mcp_servers", "metadata", "output_config", "output_format", "service_tier", "speed"),
        *("stop_sequences", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p"),
        "user_profile_id",
    }
)
# What counts as input, and all that count_tokens takes.
_COUNTED: Final = (
    *("cache_control", "context_management", "mcp_servers", "messages", "model"),
    *("output_config", "system", "thinking", "tool_choice", "tools"),
)
SAMPLING_WITHOUT_WORD: Final = ("frequency_penalty", "presence_penalty", "seed")


class RequestWriter:
    """Writes the request bodies of one provider."""

    def __init__(self, provider: str, base_url: str, options: AnthropicOptions) -> None:
        host = (urlsplit(base_url).hostname or "").lower()
        self._known_options = _ANTHROPIC_OPTIONS if host == _ANTHROPIC_HOST else None
        self._provider = provider
        self._default_max_tokens = options.default_max_tokens

    def write(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> bytes:
        """The JSON body of a generation.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
        """
        body = self._body(request, model, capabilities)
        if stream:
            body["stream"] = True
        return msgspec.json.encode(body)

    def write_count(
        self, request: GenerationRequest, model: str, capabilities: Capabilities
    ) -> bytes:
        """The JSON body of a count of the same generation's input.

        Raises:
            GatewayError: as `write`.
        """
        body = self._body(request, model, capabilities)
        return msgspec.json.encode({name: body[name] for name in _COUNTED if name in body})

    def _body(self, request: GenerationRequest, model: str, capabilities: Capabilities) -> Json:
        output = request.output
        prompt = PromptWriter(self._provider).write(request.messages)
        max_tokens = output.max_output_tokens or capabilities.max_output or self._default_max_tokens
        config = {
            "effort": effort_word(output, capabilities),
            "format": output_format(output, capabilities),
        }
        body = said(
            {
                "model": model,
                "max_tokens": max_tokens,
                "system": prompt.system or None,
                "messages": prompt.messages,
                "thinking": _thinking(request, capabilities, prompt, max_tokens),
                "output_config": said(config) or None,
                "stop_sequences": output.stop_sequences or None,
                "metadata": {"user_id": request.end_user_id} if request.end_user_id else None,
            }
        )
        body.update(tool_fields(request, capabilities))
        body.update(self._sampling(request.sampling))
        body.update(
            provider_options(
                request.provider_options,
                self._provider,
                reserved=_RESERVED_OPTIONS,
                known=self._known_options,
            )
        )
        return body

    def _sampling(self, sampling: Sampling) -> Json:
        for name in SAMPLING_WITHOUT_WORD:
            if getattr(sampling, name) is not None:
                raise unsupported(
                    f"input.sampling.{name}",
                    name,
                    f"{self._provider} has no {name}; leave it unset",
                )
        return said(
            {
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            }
        )


def _thinking(
    request: GenerationRequest, capabilities: Capabilities, prompt: Prompt, max_tokens: int
) -> Json | None:
    field = thinking(request.output, capabilities, max_tokens)
    if capabilities.thinking is ThinkingStyle.BUDGET and prompt.continues_unthought_calls:
        # With a budget the API refuses results unless the thinking before their calls is there,
        # and a caller that did not ask to see it, or comes from another provider, has none. The
        # model then thinks again from its next answer on.
        return None
    return field
