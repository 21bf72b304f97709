"""The dialect's own keys in a provider's configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Becomes part of a header.
_Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._~-]+$", max_length=128)]


class AnthropicOptions(BaseModel):
    """How a server speaks Anthropic Messages where it differs from others that do."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auth: Literal["x-api-key", "bearer"] = Field(
        "x-api-key",
        description="Which header carries the key: `x-api-key`, or `Authorization: Bearer` for "
        "OAuth tokens and for servers that know only that.",
    )
    beta: tuple[_Token, ...] = Field(
        (), description="Beta features that every call asks for, sent as `anthropic-beta`."
    )
    default_max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        4096,
        description="The output limit, which this API requires, where neither the caller gives "
        "one nor the model's own is known. 4096 is the most that every Claude model takes.",
    )
