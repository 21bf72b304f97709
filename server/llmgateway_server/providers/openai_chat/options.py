"""The dialect's own keys in a provider's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Values that become headers or part of the URL.
_Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]+$", max_length=128)]


class OpenAIChatOptions(BaseModel):
    """How a server speaks Chat Completions where it differs from others that do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: _Token | None = Field(
        None, description="Sent as OpenAI-Organization; for keys that belong to several."
    )
    project: _Token | None = Field(
        None, description="Sent as OpenAI-Project; for keys that belong to several."
    )
    auth: Literal["bearer", "api-key"] = Field(
        "bearer",
        description="Which header carries the key: `Authorization: Bearer`, or Azure's `api-key`.",
    )
    api_version: _Token | None = Field(
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
