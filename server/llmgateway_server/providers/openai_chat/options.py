"""The dialect's own keys in a provider's configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from llmgateway_server.providers.openai_account import OpenAIAccountOptions, Token


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
    reasoning_history: Literal["reasoning_content", "reasoning"] | None = Field(
        None,
        description="The field in which the server wants the reasoning of earlier turns back, for "
        "those that do (DeepSeek with tools: reasoning_content). Signed details need no setting.",
    )
