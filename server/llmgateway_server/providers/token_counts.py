"""Token counts as servers write them, read so that none can break an answer.

Usage comes with the answer or after it; the answer is good whatever is wrong with its counts. So
what is no count is no count said, and no count is below zero or above what the contract holds.
"""

from __future__ import annotations

from typing import Any, Final

from llmgateway_server.domain.answer import Usage

# The contract counts in int32.
MAX_COUNT: Final = 2**31 - 1

Fields = dict[str, Any]


def fields_of(value: Any) -> Fields:
    """The fields of what should be an object; none where it is something else."""
    return value if isinstance(value, dict) else {}


def told(fields: Fields, *names: str) -> int | None:
    """The first of these counts that is told; None where none is."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(min(max(value, 0), MAX_COUNT))
    return None


def count(fields: Fields, *names: str) -> int:
    """The same, where what is not told is nothing."""
    return told(fields, *names) or 0


def inclusive(prompt: int, output: int, cached: int, written: int, reasoning: int) -> Usage:
    """Counts in the one convention, whose subsets are never larger than their sets."""
    # Grok on Azure counts cached tokens beside the prompt.
    if cached > prompt:
        prompt += cached
    return Usage(
        input_token_count=min(prompt, MAX_COUNT),
        output_token_count=min(output, MAX_COUNT),
        cached_input_token_count=min(cached, MAX_COUNT),
        cache_write_input_token_count=min(written, prompt, MAX_COUNT),
        reasoning_token_count=min(reasoning, output, MAX_COUNT),
    )
