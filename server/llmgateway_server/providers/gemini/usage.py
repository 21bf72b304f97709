"""Token counts in the one convention: input includes cached, output includes reasoning.

Source: https://ai.google.dev/api/generate-content#UsageMetadata.
"""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.gemini.wire import TOKEN_USAGE, Number, TokenUsage

# The contract counts in int32.
_MAX: Final = 2**31 - 1
_NOTHING: Final = TokenUsage()


def reported_usage(data: Raw) -> Usage | None:
    """The `usageMetadata` of an answer in our convention; None where nothing is reported.

    Google counts thoughts beside the candidates, and what its own tools read beside the prompt;
    what came from a cache is part of the prompt.
    """
    try:
        usage = TOKEN_USAGE.decode(data)
    except (ValueError, RecursionError):
        return None
    if usage == _NOTHING:
        return None
    prompt = _count(usage.prompt_token_count) + _count(usage.tool_use_prompt_token_count)
    thoughts = _count(usage.thoughts_token_count)
    output = _count(usage.candidates_token_count) + thoughts
    return Usage(
        input_token_count=min(prompt, _MAX),
        output_token_count=min(output, _MAX),
        cached_input_token_count=min(_count(usage.cached_content_token_count), prompt),
        reasoning_token_count=thoughts,
    )


def _count(value: Number) -> int:
    return 0 if value is None else int(min(max(value, 0), _MAX))
