"""What a model can take and give, as far as it is known before a call."""

from __future__ import annotations

import enum
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.request import ReasoningEffort

REFUSABLE: Final = frozenset(
    {
        "sampling.temperature",
        "sampling.top_p",
        "sampling.frequency_penalty",
        "sampling.presence_penalty",
        "sampling.top_k",
        "sampling.seed",
        "output.response_format",
        "output.response_schema_json",
        "tool_choice",
    }
)
"""The request fields that `Capabilities.refused` may name, as callers write them.

`output.response_format` is any form but plain text, `output.response_schema_json` a JSON Schema
alone; `tool_choice` is a forced one.
"""


class ThinkingStyle(enum.Enum):
    """How a provider is told how much to think, where it has more than one way."""

    BUDGET = "budget"
    """A number of tokens (Claude before 4.6, Gemini 2.5)."""
    ADAPTIVE = "adaptive"
    """The model decides, within an effort (newer Claude)."""
    LEVEL = "level"
    """A named level (Gemini 3)."""


class Unsupported(enum.Enum):
    """What becomes of a request that says more than a model can take."""

    REJECT = "reject"
    """It is refused; nothing is sent."""
    DROP = "drop"
    """What can be left out without changing what was asked for is left out, and named."""


class Capabilities(Struct, frozen=True):
    """What is known of one model. None means not known, and then a request is sent as it is.

    `refused` names the request fields that the model answers with an error (see REFUSABLE), and
    `refused_while_reasoning` those that it takes only when it does not reason. `efforts` are the
    levels that it knows, `default_effort` the one at which it answers a request that says none.
    `json_object` and `json_schema` are formats of the model's own; a dialect may stand in for one
    that is missing, and where none does `refused` says so. `forced_tool_choice` is REQUIRED or a
    named tool; without `parallel_tool_calls` a model calls one tool at a time and knows no such
    switch; `prefill` is a last message of the assistant that the model continues.
    `max_stop_sequences` is 0 where it takes none. `max_tokens_field` is the wire's name of the
    output limit where a dialect has two. Counts are tokens, but for stop sequences.
    """

    context_window: int | None = None
    max_output: int | None = None
    streaming: bool | None = None
    tools: bool | None = None
    parallel_tool_calls: bool | None = None
    forced_tool_choice: bool | None = None
    images: bool | None = None
    json_object: bool | None = None
    json_schema: bool | None = None
    reasoning: bool | None = None
    efforts: frozenset[ReasoningEffort] | None = None
    default_effort: ReasoningEffort | None = None
    thinking: ThinkingStyle | None = None
    prefill: bool | None = None
    max_stop_sequences: int | None = None
    refused: frozenset[str] = frozenset()
    refused_while_reasoning: frozenset[str] = frozenset()
    max_tokens_field: str = ""
    embeddings: bool | None = None
