"""The dialect's own keys in a provider's configuration."""

from __future__ import annotations

from pydantic import Field

from llmgateway_server.providers.openai_account import OpenAIAccountOptions, Token


class OpenAIResponsesOptions(OpenAIAccountOptions):
    """How a server speaks Responses where it differs from others that do."""

    api_version: Token | None = Field(
        None,
        description="Azure's api-version, sent with every call. Below a base URL without /v1 "
        "(https://RESOURCE.openai.azure.com/openai) embeddings go to /deployments/MODEL.",
    )
