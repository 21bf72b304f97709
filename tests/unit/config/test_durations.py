"""Durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.config.units import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("5s", 5), ("1m30s", 90), ("2h", 7200), ("1h1m1s1ms", 3661.001), ("0s", 0)],
)
def test_a_duration_is_whole_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "5", 5, None, True, "s", "5 s", "-5s", "1.5s", "5S", "30s1m", "5s5s", "\u0665s", "5s\n"],
)
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 250ms, 5s, 1m30s or 2h"):
        parse_duration(text)


@given(milliseconds=st.integers(0, 1000 * 3600 * 9999))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000
