"""The seam between what was delivered and what a continued attempt writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.recovery.continuation import Seam, continuation

ASK = GenerationRequest("m", (Message(Role.USER, (TextPart("hi"),)),))
END: list[ProviderEvent] = [Usage(1, 2), Finish(FinishReason.STOP)]
# Few characters, so that overlaps of every length happen.
BLANK = st.text(" \n", max_size=4)
WRITTEN = st.text("a \n", max_size=8)


def batches(text: str, sizes: list[int]) -> list[list[ProviderEvent]]:
    """The text in deltas of the sizes given, two deltas a batch; the rest at the end."""
    pieces: list[ProviderEvent] = []
    for size in sizes:
        if piece := text[:size]:
            pieces.append(TextDelta(0, piece))
        text = text[size:]
    if text:
        pieces.append(TextDelta(0, text))
    return [pieces[at : at + 2] for at in range(0, len(pieces), 2)]


def filtered(seam: Seam, *reads: list[ProviderEvent]) -> list[ProviderEvent]:
    return [event for read in reads for event in seam.filter(read)]


def text_of(events: list[ProviderEvent]) -> str:
    texts = [event for event in events if isinstance(event, TextDelta)]
    assert all(event.part_index == 0 and event.text for event in texts)
    return "".join(event.text for event in texts)


@given(BLANK, BLANK, WRITTEN, st.lists(st.integers(1, 3), max_size=10))
def test_white_space_is_neither_doubled_nor_lost(
    cut: str, begins: str, written: str, sizes: list[int]
) -> None:
    seam = continuation(ASK, "Hello" + cut).seam
    rest = begins + written
    events = filtered(seam, *batches(rest, sizes), END)
    # The model: the longest beginning of the white space that the new text repeats.
    overlap = max(n for n in range(len(cut) + 1) if rest.startswith(cut[:n]))
    assert text_of(events) == rest[overlap:]
    assert events[-2:] == END


@given(BLANK, WRITTEN, st.lists(st.integers(1, 3), max_size=10))
def test_where_the_model_repeats_the_white_space_the_text_is_what_it_meant(
    cut: str, written: str, sizes: list[int]
) -> None:
    seam = continuation(ASK, "Hello" + cut).seam
    events = filtered(seam, *batches(cut + written, sizes), END)
    assert "Hello" + cut + text_of(events) == "Hello" + (cut + written)


@pytest.mark.parametrize(
    ("delivered", "continued", "whole"),
    [
        ("Hello ", " world", "Hello world"),
        ("Hello ", "world", "Hello world"),
        ("Hello", " world", "Hello world"),
        ("Hello\n\n", "\nworld", "Hello\n\nworld"),
        ("Hello\n", "\n\nworld", "Hello\n\nworld"),
        ("Hello\n", " world", "Hello\n world"),
        ("Hello ", " ", "Hello "),
        ("Hello ", "", "Hello "),
    ],
)
def test_by_example(delivered: str, continued: str, whole: str) -> None:
    seam = continuation(ASK, delivered).seam
    assert delivered + text_of(filtered(seam, *batches(continued, [1, 1]), END)) == whole


def test_a_delta_that_repeats_no_white_space_passes_as_it_is() -> None:
    seam = Seam(" ")
    read: list[ProviderEvent] = [TextDelta(0, "world")]
    assert seam.filter(read)[0] is read[0]
    assert seam.filter(read) is read


def test_white_space_is_dropped_only_once() -> None:
    seam = Seam("\n")
    read: list[ProviderEvent] = [TextDelta(0, "\n"), TextDelta(0, "\n"), TextDelta(0, "a")]
    assert text_of(filtered(seam, read)) == "\na"


def test_parts_after_the_text_keep_their_number() -> None:
    seam = Seam(" ")
    call = ToolCallDelta(1, "id", "f", "{}")
    assert filtered(seam, [TextDelta(0, " "), call], END) == [call, *END]
    late: list[ProviderEvent] = [TextDelta(0, " ")]
    assert filtered(seam, late) == late


def test_white_space_after_another_part_is_not_that_of_the_seam() -> None:
    seam = Seam("  ")
    call = ToolCallDelta(1, "id", "f", "{}")
    read: list[ProviderEvent] = [TextDelta(0, " "), call, TextDelta(0, " ")]
    assert filtered(seam, read) == [call, TextDelta(0, " ")]


@pytest.mark.parametrize("cut", ["", " "])
def test_an_attempt_that_begins_with_something_else_does_not_write_into_the_text(
    cut: str,
) -> None:
    seam = Seam(cut)
    events = filtered(
        seam,
        [ToolCallDelta(0, "id", "f", "{")],
        [ToolCallDelta(0, arguments_json="}"), ToolCallDelta(1, "id2", "g", "{}")],
        END,
    )
    assert events == [
        ToolCallDelta(1, "id", "f", "{"),
        ToolCallDelta(1, arguments_json="}"),
        ToolCallDelta(2, "id2", "g", "{}"),
        *END,
    ]


def test_text_after_reasoning_is_a_part_of_its_own() -> None:
    read: list[ProviderEvent] = [ReasoningDelta(0, "hm"), TextDelta(1, " world")]
    assert filtered(Seam(" "), read) == [ReasoningDelta(1, "hm"), TextDelta(2, " world")]


def test_an_answer_that_was_complete_ends_at_once() -> None:
    assert filtered(Seam(" "), END) == END
