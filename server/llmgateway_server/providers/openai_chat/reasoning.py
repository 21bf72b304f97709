"""Reasoning that a server wants back: OpenRouter's details, DeepSeek's plain text.

Source: https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks.
"""

from __future__ import annotations

from typing import Any

import msgspec

from llmgateway_server.domain.content import ReasoningPart
from llmgateway_server.providers.request_writing import Json

_KEY = "reasoning_details"
# What only the model's own provider can read; without it there is nothing to give back.
_OPAQUE = ("signature", "data")


class ReasoningDetails:
    """Collects the details of one answer, whose texts and signatures come in pieces."""

    def __init__(self) -> None:
        self._details: list[dict[str, Any]] = []

    def add(self, details: list[Any]) -> None:
        """Takes the details of a message or delta."""
        for detail in details:
            if not isinstance(detail, dict):
                continue
            last = self._details[-1] if self._details else {}
            if last and _key(last) == _key(detail) and "data" not in detail:
                _extend(last, detail)
            else:
                self._details.append(detail)

    def signature(self) -> bytes:
        """All of them as one opaque value; empty where there is nothing opaque in them."""
        if any(detail.get(name) for detail in self._details for name in _OPAQUE):
            return msgspec.json.encode({_KEY: self._details})
        return b""


def given_back(parts: list[ReasoningPart], provider: str, text_field: str | None) -> Json:
    """The fields of an assistant's message that return its reasoning to the provider.

    Args:
        parts: the message's reasoning.
        provider: whose signatures can be returned.
        text_field: where the server wants plain reasoning text, if it does.
    """
    fields: Json = {}
    details: list[Any] = []
    for part in parts:
        if part.signature and part.signature_provider == provider:
            details += _details_in(part.signature)
    if details:
        fields[_KEY] = details
    text = "".join(part.text for part in parts)
    if text_field and text:
        fields[text_field] = text
    return fields


def _details_in(signature: bytes) -> list[Any]:
    try:
        return msgspec.json.decode(signature, type=dict[str, list[Any]]).get(_KEY, [])
    except (ValueError, RecursionError):
        # Not ours: a caller made it up, or another dialect of the same provider's name made it.
        return []


def _key(detail: dict[str, Any]) -> tuple[Any, ...]:
    return (detail.get("type"), detail.get("index"), detail.get("id"))


def _extend(last: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        before = last.get(name)
        if name in ("text", "summary") and isinstance(before, str) and isinstance(value, str):
            last[name] = before + value
        elif value is not None:
            last[name] = value
