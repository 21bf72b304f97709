"""The dialect's own keys in a provider's configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class GeminiOptions(BaseModel):
    """There are none: the API version is part of the base URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)
