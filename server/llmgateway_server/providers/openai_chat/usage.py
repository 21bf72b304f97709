"""Token counts in the one convention: input includes cached, output includes reasoning."""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.openai_chat.wire import Body, Chunk, Number, TokenUsage

# The contract counts in int32.
_MAX: Final = 2**31 - 1


def reported_usage(answer: Chunk | Body) -> Usage | None:
    """The usage that a chunk or an answer carries; None where it carries none."""
    usage = answer.usage
    if usage is None and answer.x_groq is not None:
        usage = answer.x_groq.usage
    if usage is None or (usage.prompt_tokens is None and usage.completion_tokens is None):
        return None
    return _normalised(usage)


def _normalised(usage: TokenUsage) -> Usage:
    prompt = _count(usage.prompt_tokens)
    output = _count(usage.completion_tokens)
    cached = written = reasoning = 0
    if usage.prompt_tokens_details is not None:
        cached = _count(usage.prompt_tokens_details.cached_tokens)
        written = _count(usage.prompt_tokens_details.cache_write_tokens)
    if usage.completion_tokens_details is not None:
        reasoning = _count(usage.completion_tokens_details.reasoning_tokens)
    cached = cached or _count(usage.prompt_cache_hit_tokens)
    # xAI, Vercel and Google's compatible endpoint count reasoning beside the completion; only
    # the total tells.
    if reasoning and _count(usage.total_tokens) == prompt + output + reasoning:
        output += reasoning
    # Grok on Azure counts cached tokens beside the prompt.
    if cached > prompt:
        prompt += cached
    return Usage(
        input_token_count=min(prompt, _MAX),
        output_token_count=min(output, _MAX),
        cached_input_token_count=cached,
        cache_write_input_token_count=min(written, prompt),
        reasoning_token_count=min(reasoning, output),
    )


def _count(value: Number) -> int:
    return 0 if value is None else int(min(max(value, 0), _MAX))
