"""Token counts in the one convention: input includes cached, output includes reasoning.

Source: https://ai.google.dev/api/generate-content#UsageMetadata.
"""

from __future__ import annotations

from typing import Final

import msgspec

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.token_counts import count, fields_of, inclusive, told

_COUNTS: Final = (
    "promptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
)


def reported_usage(data: msgspec.Raw) -> Usage | None:
    """The `usageMetadata` of an answer in our convention; None where nothing is reported.

    Google counts thoughts beside the candidates, and what its own tools read beside the prompt;
    what came from a cache is part of the prompt. A count of zero is left out.
    """
    try:
        fields = fields_of(msgspec.json.decode(data))
    except (ValueError, RecursionError):
        return None
    if told(fields, *_COUNTS) is None:
        return None
    prompt = count(fields, "promptTokenCount") + count(fields, "toolUsePromptTokenCount")
    thoughts = count(fields, "thoughtsTokenCount")
    output = count(fields, "candidatesTokenCount") + thoughts
    cached = min(count(fields, "cachedContentTokenCount"), prompt)
    return inclusive(prompt, output, cached, 0, thoughts)
