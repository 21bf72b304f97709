"""Token counts in the one convention."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Usage
from llmgateway_server.providers.anthropic.stream import MessageStream
from support.message_stream import fed, message_end, message_start, sse, text_block

Counts = dict[str, Any]

REPORTS: list[tuple[Counts, Counts, Usage | None]] = [
    # llama.cpp and half of Anthropic's own: only the output at the end.
    (
        {"input_tokens": 20, "output_tokens": 1},
        {"output_tokens": 5},
        Usage(input_token_count=20, output_token_count=5),
    ),
    # Server tools: more input at the end than at the start.
    (
        {"input_tokens": 20, "cache_read_input_tokens": 0, "output_tokens": 1},
        {"input_tokens": 920, "cache_read_input_tokens": 40, "output_tokens": 5},
        Usage(input_token_count=960, output_token_count=5, cached_input_token_count=40),
    ),
    # What the end says nothing of stands.
    (
        {"input_tokens": 3, "cache_creation_input_tokens": 200, "cache_read_input_tokens": 1000},
        {"input_tokens": None, "cache_read_input_tokens": None, "output_tokens": 5},
        Usage(
            input_token_count=1203,
            output_token_count=5,
            cached_input_token_count=1000,
            cache_write_input_token_count=200,
        ),
    ),
    # Thinking is counted within the output.
    (
        {"input_tokens": 3, "output_tokens": 1},
        {"output_tokens": 90, "output_tokens_details": {"thinking_tokens": 70}},
        Usage(input_token_count=3, output_token_count=90, reasoning_token_count=70),
    ),
    # A zero is a number.
    (
        {"input_tokens": 3, "output_tokens": 9},
        {"input_tokens": 0, "output_tokens": 0, "output_tokens_details": None},
        Usage(),
    ),
    ({}, {}, None),
    ({"service_tier": "standard"}, {"cache_read_input_tokens": 5}, None),
]


@pytest.mark.parametrize(("start", "end", "usage"), REPORTS)
def test_the_end_replaces_what_it_counts_of_the_start(
    start: Counts, end: Counts, usage: Usage | None
) -> None:
    events, failure = fed(sse(message_start(**start), *text_block(0, "x"), *message_end(**end)))
    assert failure is None
    assert [event for event in events if isinstance(event, Usage)] == ([usage] if usage else [])


def test_what_was_used_is_known_without_the_end() -> None:
    decoder = MessageStream()
    decoder.feed(sse(message_start(input_tokens=20, output_tokens=1)))
    decoder.end()
    assert decoder.failure is not None
    assert decoder.usage == Usage(input_token_count=20, output_token_count=1)


def test_nothing_is_known_before_the_start() -> None:
    assert MessageStream().usage is None


NUMBERS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": NUMBERS,
        "output_tokens": NUMBERS,
        "cache_read_input_tokens": NUMBERS,
        "cache_creation_input_tokens": NUMBERS,
        "output_tokens_details": st.none() | st.fixed_dictionaries({"thinking_tokens": NUMBERS}),
    },
)


@given(start=COUNTS, end=COUNTS)
def test_no_numbers_break_the_convention(start: Counts, end: Counts) -> None:
    decoder = MessageStream()
    decoder.feed(sse(message_start(**start), *message_end(**end)))
    assert decoder.failure is None
    usage = decoder.usage
    if usage is None:
        return
    assert 0 <= usage.input_token_count < 2**31
    assert 0 <= usage.output_token_count < 2**31
    assert 0 <= usage.cached_input_token_count <= usage.input_token_count
    assert 0 <= usage.cache_write_input_token_count <= usage.input_token_count
    assert 0 <= usage.reasoning_token_count <= usage.output_token_count
