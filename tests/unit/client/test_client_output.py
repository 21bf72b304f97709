import pytest

from llmgateway.cli.output import printable


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("two\nlines\tand a tab, ünïcode 🙂", "two\nlines\tand a tab, ünïcode 🙂"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x1b[2J\x9b2J", "[2J2J"),
        ("over\rwritten\x00\x7f", "overwritten"),
    ],
)
def test_a_terminal_shows_text_and_obeys_none(written: str, shown: str) -> None:
    assert printable(written) == shown
