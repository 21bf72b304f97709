"""The dialect's own keys in a provider's configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llmgateway_server.providers.openai_account import OpenAIAccountOptions, Token

Continuation = Literal["prefix", "echoed_prefix", "continue_final_message", "unasked"]


class OpenAIChatOptions(OpenAIAccountOptions):
    """How a server speaks Chat Completions where it differs from others that do."""

    api_version: Token | None = Field(
        None,
        description="Azure's deployment surface: calls go to /deployments/MODEL below the base URL "
        "(https://RESOURCE.openai.azure.com/openai) with this api-version.",
    )
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] | None = Field(
        None,
        description="The name of the output limit. By default max_completion_tokens for OpenAI "
        "and Azure, which refuse the old name for reasoning models, and max_tokens for others.",
    )
    include_usage: bool = Field(
        True,
        description="Ask for token usage in streams; for servers that refuse stream_options.",
    )
    system_role: Literal["system", "developer"] = Field(
        "system",
        description="The role of system messages; OpenAI's reasoning models call it developer.",
    )
    cache_breakpoints: Literal["ignored", "cache_control"] = Field(
        "ignored",
        description="What becomes of a caller's marks of the cache: nothing, since most servers "
        "cache by themselves, or `cache_control` on the marked text or image (OpenRouter, for the "
        "models that want it).",
    )
    seed_field: Literal["seed", "random_seed"] = Field(
        "seed", description="The name of the seed; Mistral calls it random_seed."
    )
    end_user_field: Literal["user", "safety_identifier", "none"] = Field(
        "user",
        description="The name of the end user's id; none for servers that refuse bodies with it.",
    )
    tool_call_ids: Literal["any", "nine_characters"] = Field(
        "any",
        description="Which ids of tool calls the server takes. Mistral takes nine letters and "
        "digits; calls that another provider made are renamed for it.",
    )
    continuation: Continuation | None = Field(
        None,
        description="How the server continues a last message of the assistant: told by `prefix` "
        "in the message (DeepSeek below /beta; echoed_prefix for Mistral, whose answer repeats "
        "it), told by `continue_final_message` (vLLM), or unasked (llama.cpp, whose answer "
        "repeats it where it is no stream).",
    )
    reasoning_history: Literal["reasoning_content", "reasoning"] | None = Field(
        None,
        description="The field in which the server wants the reasoning of earlier turns back, for "
        "those that do (DeepSeek with tools: reasoning_content). Signed details need no setting.",
    )
