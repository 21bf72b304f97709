"""Token counts of every server in the one convention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import (
    TextDelta,
)
from support.chat_stream import (
    Json,
    answered,
    chunk,
    text,
)

USAGES = [
    # Of several, the last.
    (
        [
            chunk({}, None, usage={"prompt_tokens": 9, "completion_tokens": 1}),
            chunk({}, None, usage=None),
            chunk({}, "stop", usage={"prompt_tokens": 9, "completion_tokens": 2}),
        ],
        Usage(input_token_count=9, output_token_count=2),
    ),
    # Groq's own corner.
    (
        [chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 9, "completion_tokens": 2}})],
        Usage(input_token_count=9, output_token_count=2),
    ),
    # xAI: reasoning beside the completion.
    (
        [
            chunk(
                {},
                "stop",
                usage={
                    "prompt_tokens": 165,
                    "completion_tokens": 2,
                    "total_tokens": 296,
                    "completion_tokens_details": {"reasoning_tokens": 129},
                },
            )
        ],
        Usage(input_token_count=165, output_token_count=131, reasoning_token_count=129),
    ),
    # Vercel: more reasoning than completion, and a total that does not tell.
    (
        [
            chunk(
                {},
                "stop",
                usage={
                    "prompt_tokens": 5,
                    "completion_tokens": 10,
                    "total_tokens": 15,
                    "completion_tokens_details": {"reasoning_tokens": 11},
                },
            )
        ],
        Usage(input_token_count=5, output_token_count=10, reasoning_token_count=10),
    ),
    # Grok on Azure: cached beside the prompt.
    (
        [
            chunk(
                {},
                "stop",
                usage={
                    "prompt_tokens": 5,
                    "completion_tokens": 1,
                    "prompt_tokens_details": {"cached_tokens": 100},
                },
            )
        ],
        Usage(input_token_count=105, output_token_count=1, cached_input_token_count=100),
    ),
    # DeepSeek's cache, in its own words.
    (
        [
            chunk(
                {},
                "stop",
                usage={
                    "prompt_tokens": 50,
                    "completion_tokens": 1,
                    "prompt_cache_hit_tokens": 40,
                },
            )
        ],
        Usage(input_token_count=50, output_token_count=1, cached_input_token_count=40),
    ),
    ([chunk({}, "stop", usage={"prompt_tokens": -12, "completion_tokens": -5})], Usage()),
    (
        [chunk({}, "stop", usage={"prompt_tokens": 10**40, "completion_tokens": 1.0})],
        Usage(input_token_count=2**31 - 1, output_token_count=1),
    ),
]


@pytest.mark.parametrize(("payloads", "usage"), USAGES)
def test_usage_is_counted_in_one_convention(payloads: list[Json], usage: Usage) -> None:
    assert answered(text("a"), *payloads)[-2] == usage


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 5}])
def test_usage_without_counts_is_none(usage: Json | None) -> None:
    assert [type(event) for event in answered(text("a"), chunk({}, "stop", usage=usage))] == [
        TextDelta,
        Finish,
    ]


NUMBERS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(
    prompt=NUMBERS,
    completion=NUMBERS,
    total=NUMBERS,
    cached=NUMBERS,
    written=NUMBERS,
    reasoning=NUMBERS,
)
def test_usage_always_fits_the_contract(**counts: float | None) -> None:
    wire = {
        "prompt_tokens": counts["prompt"],
        "completion_tokens": counts["completion"],
        "total_tokens": counts["total"],
        "prompt_tokens_details": {
            "cached_tokens": counts["cached"],
            "cache_write_tokens": counts["written"],
        },
        "completion_tokens_details": {"reasoning_tokens": counts["reasoning"]},
    }
    for event in answered(text("a"), chunk({}, "stop", usage=wire)):
        if isinstance(event, Usage):
            assert 0 <= event.cached_input_token_count <= event.input_token_count < 2**31
            assert 0 <= event.cache_write_input_token_count <= event.input_token_count
            assert 0 <= event.reasoning_token_count <= event.output_token_count < 2**31
