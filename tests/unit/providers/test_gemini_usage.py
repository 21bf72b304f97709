"""Google's token counts in the one convention."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from support.gemini_stream import Json, answered, chunk, text

USAGES = [
    # Thoughts beside the candidates; the cache within the prompt.
    (
        {
            "promptTokenCount": 3520,
            "cachedContentTokenCount": 3512,
            "candidatesTokenCount": 2,
            "thoughtsTokenCount": 42,
            "totalTokenCount": 3564,
        },
        Usage(
            input_token_count=3520,
            output_token_count=44,
            cached_input_token_count=3512,
            reasoning_token_count=42,
        ),
    ),
    # What Google's own tools read is input too.
    (
        {"promptTokenCount": 10, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 1},
        Usage(input_token_count=100, output_token_count=1),
    ),
    ({"promptTokenCount": 10}, Usage(input_token_count=10)),
    ({"promptTokenCount": -12, "candidatesTokenCount": -5}, Usage()),
    (
        {"promptTokenCount": 10**40, "candidatesTokenCount": 1.0},
        Usage(input_token_count=2**31 - 1, output_token_count=1),
    ),
]


@pytest.mark.parametrize(("usage", "expected"), USAGES)
def test_usage_is_counted_in_one_convention(usage: Json, expected: Usage) -> None:
    assert answered(chunk(text("a"), finish="STOP", usageMetadata=usage))[-2] == expected


def test_of_several_the_last_counts_even_if_it_is_less() -> None:
    counts = [7, 31, 30]
    chunks = [chunk(text("a"), usageMetadata={"candidatesTokenCount": count}) for count in counts]
    assert answered(*chunks, chunk(finish="STOP"))[-2] == Usage(output_token_count=30)


@pytest.mark.parametrize(
    "usage", [None, {}, {"totalTokenCount": 5}, [], "7", {"promptTokenCount": "9"}]
)
def test_usage_without_counts_is_none(usage: object) -> None:
    events = answered(chunk(text("a"), finish="STOP", usageMetadata=usage))
    assert not any(isinstance(event, Usage) for event in events)
    assert isinstance(events[-1], Finish)


NUMBERS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)


COUNTS = (
    "promptTokenCount",
    "cachedContentTokenCount",
    "toolUsePromptTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
)


@given(usage=st.fixed_dictionaries(dict.fromkeys(COUNTS, NUMBERS)))
def test_usage_always_fits_the_contract(usage: Json) -> None:
    for event in answered(chunk(text("a"), finish="STOP", usageMetadata=usage)):
        if isinstance(event, Usage):
            assert 0 <= event.cached_input_token_count <= event.input_token_count < 2**31
            assert 0 <= event.reasoning_token_count <= event.output_token_count < 2**31
