"""What an answer is besides its content: how it ended, what it used, who gave it."""

from __future__ import annotations

import enum

from msgspec import Struct

from llmgateway_server.domain.content import Part


class FinishReason(enum.Enum):
    """Why the model stopped."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    OTHER = "other"


class CacheStatus(enum.Enum):
    """How the response cache took part."""

    MISS = "miss"
    HIT = "hit"
    SHARED = "shared"
    BYPASS = "bypass"


class Usage(Struct, frozen=True):
    """Tokens and money of a call, over all its attempts.

    Inclusive: `cached_input` and `cache_write_input` are subsets of `input`, `reasoning` is one
    of `output`. `cost_nano_usd` is None where no price is known.
    """

    input_token_count: int = 0
    output_token_count: int = 0
    cached_input_token_count: int = 0
    cache_write_input_token_count: int = 0
    reasoning_token_count: int = 0
    cost_nano_usd: int | None = None
    is_estimated: bool = False

    def plus(self, other: Usage) -> Usage:
        """Both together; the cost is known only where both are."""
        mine, others = self.cost_nano_usd, other.cost_nano_usd
        return Usage(
            self.input_token_count + other.input_token_count,
            self.output_token_count + other.output_token_count,
            self.cached_input_token_count + other.cached_input_token_count,
            self.cache_write_input_token_count + other.cache_write_input_token_count,
            self.reasoning_token_count + other.reasoning_token_count,
            mine + others if mine is not None and others is not None else None,
            self.is_estimated or other.is_estimated,
        )


class Finish(Struct, frozen=True):
    """The end of an answer. `provider_reason` is the provider's own word; duration in seconds."""

    reason: FinishReason
    provider_reason: str = ""
    stop_sequence: str = ""
    total_duration: float = 0.0


class Route(Struct, frozen=True):
    """Who answers, and how the call got there; durations in seconds."""

    provider: str
    provider_model: str
    attempt_count: int = 1
    cache_status: CacheStatus = CacheStatus.BYPASS
    provider_request_id: str = ""
    gateway_queue_duration: float = 0.0
    time_to_first_token: float = 0.0


class Answer(Struct, frozen=True):
    """A whole answer: the fold of its stream."""

    response_id: str
    model: str
    parts: tuple[Part, ...]
    finish: Finish
    usage: Usage
    route: Route
