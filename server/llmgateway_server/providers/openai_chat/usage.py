"""Token counts in the one convention: input includes cached, output includes reasoning."""

from __future__ import annotations

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.openai_chat.wire import Body, Chunk
from llmgateway_server.providers.token_counts import Fields, count, fields_of, inclusive, told


def reported_usage(answer: Chunk | Body) -> Usage | None:
    """The usage that a chunk or an answer carries; None where it carries none.

    Most have it at the top, Groq also in a corner of its own, Moonshot in the choice.
    """
    places = [answer.usage, fields_of(answer.x_groq).get("usage")]
    places += [choice.usage for choice in answer.choices or () if choice is not None]
    return next(filter(None, map(_normalised, map(fields_of, places))), None)


def _normalised(usage: Fields) -> Usage | None:
    if told(usage, "prompt_tokens", "completion_tokens") is None:
        return None
    prompt = count(usage, "prompt_tokens")
    output = count(usage, "completion_tokens")
    prompt_details = fields_of(usage.get("prompt_tokens_details"))
    cached = count(prompt_details, "cached_tokens") or count(usage, "prompt_cache_hit_tokens")
    details = fields_of(usage.get("completion_tokens_details"))
    reasoning = count(details, "reasoning_tokens")
    # xAI, Vercel and Google's compatible endpoint count reasoning beside the completion; only
    # the total tells.
    if reasoning and count(usage, "total_tokens") == prompt + output + reasoning:
        output += reasoning
    written = count(prompt_details, "cache_write_tokens")
    return inclusive(prompt, output, cached, written, reasoning)
