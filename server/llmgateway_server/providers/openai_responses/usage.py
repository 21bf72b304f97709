"""Token counts in the one convention: input includes cached, output includes reasoning."""

from __future__ import annotations

from typing import Any

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.token_counts import count, fields_of, inclusive, told


def reported_usage(usage: Any) -> Usage | None:
    """The usage of an answer; None where it says nothing of it."""
    fields = fields_of(usage)
    if told(fields, "input_tokens", "output_tokens") is None:
        return None
    prompt, output = count(fields, "input_tokens"), count(fields, "output_tokens")
    details = fields_of(fields.get("input_tokens_details"))
    reasoning = count(fields_of(fields.get("output_tokens_details")), "reasoning_tokens")
    # OpenAI counts in our convention; where reasoning is beside the output only the total tells.
    if reasoning and count(fields, "total_tokens") == prompt + output + reasoning:
        output += reasoning
    cached, written = count(details, "cached_tokens"), count(details, "cache_write_tokens")
    return inclusive(prompt, output, cached, written, reasoning)
