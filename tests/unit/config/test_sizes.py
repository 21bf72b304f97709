"""Sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.config.units import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("1KiB", 1024), ("64MiB", 64 << 20), ("2GiB", 2 << 30), ("1536KiB", 1536 * 1024)],
)
def test_a_size_is_a_whole_number_with_its_unit(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert format_size(size) == text


@pytest.mark.parametrize(
    "text",
    ["", "0MiB", "64", 64, None, True, "64MB", "64mib", "64 MiB", "-1KiB", "1.5GiB", "1KiB\n",
     "\u0661KiB", "1234567KiB"],
)  # fmt: skip
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="expected a size such as 512KiB, 64MiB or 2GiB"):
        parse_size(text)


@given(count=st.integers(1, 999_999), unit=st.sampled_from([1 << 10, 1 << 20, 1 << 30]))
def test_a_formatted_size_reads_back(count: int, unit: int) -> None:
    assert parse_size(format_size(count * unit)) == count * unit
