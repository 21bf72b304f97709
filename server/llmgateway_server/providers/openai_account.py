"""Whose server it is and whose account: what OpenAI's APIs share before any of them is called.

Source: https://platform.openai.com/docs/api-reference/authentication, and for Azure
https://learn.microsoft.com/azure/ai-foundry/openai/reference.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_OPENAI_HOST = "api.openai.com"
_AZURE_DOMAINS = (".openai.azure.com", ".services.ai.azure.com", ".cognitiveservices.azure.com")

# Values that become headers or part of the URL.
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]+$", max_length=128)]


class OpenAIAccountOptions(BaseModel):
    """The keys that every dialect of OpenAI has in a provider's configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: Token | None = Field(
        None, description="Sent as OpenAI-Organization; for keys that belong to several."
    )
    project: Token | None = Field(
        None, description="Sent as OpenAI-Project; for keys that belong to several."
    )
    auth: Literal["bearer", "api-key"] = Field(
        "bearer",
        description="Which header carries the key: `Authorization: Bearer`, or Azure's `api-key`.",
    )


def account_headers(options: OpenAIAccountOptions, api_key: str) -> tuple[tuple[str, str], ...]:
    """The credential in the header that the server reads, and whose account it is."""
    headers = {
        "authorization": f"Bearer {api_key}" if api_key and options.auth == "bearer" else "",
        "api-key": api_key if options.auth == "api-key" else "",
        "openai-organization": options.organization or "",
        "openai-project": options.project or "",
    }
    return tuple((name, value) for name, value in headers.items() if value)


def is_openai(base_url: str) -> bool:
    """Whether OpenAI itself answers there, or Azure for it, and no server that imitates it."""
    host = (urlsplit(base_url).hostname or "").lower()
    return host == _OPENAI_HOST or host.endswith(_AZURE_DOMAINS)
