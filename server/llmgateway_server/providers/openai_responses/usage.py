"""Token counts; they come in our convention: input includes cached, output includes reasoning."""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.openai_responses.wire import Number, TokenUsage

# The contract counts in int32.
_MAX: Final = 2**31 - 1


def reported_usage(usage: TokenUsage | None) -> Usage | None:
    """The usage of an answer; None where it says nothing of it."""
    if usage is None or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    read = _count(usage.input_tokens)
    written = _count(usage.output_tokens)
    details = usage.input_tokens_details
    reasoning = usage.output_tokens_details
    # A subset that is larger than its set would break whoever prices the rest.
    return Usage(
        input_token_count=read,
        output_token_count=written,
        cached_input_token_count=min(_count(details.cached_tokens), read) if details else 0,
        cache_write_input_token_count=min(_count(details.cache_write_tokens), read)
        if details
        else 0,
        reasoning_token_count=min(_count(reasoning.reasoning_tokens), written) if reasoning else 0,
    )


def _count(value: Number) -> int:
    return 0 if value is None else int(min(max(value, 0), _MAX))
