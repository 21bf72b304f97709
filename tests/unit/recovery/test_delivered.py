"""What is remembered of a delivered answer, against a model that remembers everything."""

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, FinishReason, Route, Usage
from llmgateway_server.domain.errors import AttemptFailure
from llmgateway_server.domain.events import (
    Delta,
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.recovery.delivered import MOST_CHARACTERS, Delivered

ROUTE = Route("p", "m")
TEXT = st.builds(TextDelta, st.integers(0, 1), st.text(min_size=1, max_size=4))
FIRST_TEXT = st.builds(TextDelta, st.just(0), st.text(min_size=1, max_size=4))
OTHERS: st.SearchStrategy[StreamEvent] = st.sampled_from(
    [
        StreamStart("01", "p/m", ROUTE),
        Recovery(RecoveryKind.CONTINUED, ROUTE, AttemptFailure("p", "m", 500)),
        Usage(1, 2),
        Finish(FinishReason.STOP),
        ReasoningDelta(0, "hm"),
        SignatureDelta(0, b"sig"),
        ToolCallDelta(1, "id", "f"),
    ]
)
# None stands for a restart.
STEPS = st.lists(
    st.none() | st.lists(FIRST_TEXT, max_size=3) | st.lists(TEXT | OTHERS, max_size=3),
    max_size=12,
)


def given_to_a_caller(*batches: list[StreamEvent]) -> Delivered:
    delivered = Delivered()
    for batch in batches:
        delivered.add(batch)
    return delivered


@given(STEPS)
def test_it_is_what_a_list_of_all_events_says(steps: list[list[StreamEvent] | None]) -> None:
    delivered = Delivered()
    deltas: list[StreamEvent] = []
    for step in steps:
        if step is None:
            delivered.restart()
            deltas.clear()
        else:
            delivered.add(step)
            deltas += [event for event in step if isinstance(event, Delta)]
        texts = [e.text for e in deltas if isinstance(e, TextDelta) and e.part_index == 0]
        assert delivered.has_content == bool(deltas)
        assert delivered.is_text_only == (bool(deltas) and len(texts) == len(deltas))
        assert delivered.is_known == (len(texts) == len(deltas))
        assert delivered.text == ("".join(texts) if delivered.is_known else "")


def test_line_ends_stay_as_they_came() -> None:
    delivered = given_to_a_caller([TextDelta(0, "a\r\nb\r")], [TextDelta(0, "\nc\rd\n")])
    assert delivered.text == "a\r\nb\r\nc\rd\n"


def test_the_longest_text_is_known() -> None:
    delivered = given_to_a_caller([TextDelta(0, "x" * MOST_CHARACTERS)])
    assert delivered.is_known
    assert len(delivered.text) == MOST_CHARACTERS


def test_of_a_longer_text_nothing_is_kept_and_no_part_of_it_comes_back() -> None:
    delivered = given_to_a_caller(
        [TextDelta(0, "x" * MOST_CHARACTERS)], [TextDelta(0, "y")], [TextDelta(0, "z")]
    )
    assert not delivered.is_known
    assert not delivered.text
    assert delivered.is_text_only
    assert delivered.has_content


def test_after_a_restart_a_long_answer_begins_anew() -> None:
    delivered = given_to_a_caller([TextDelta(0, "x" * (MOST_CHARACTERS + 1))])
    delivered.restart()
    assert not delivered.has_content
    delivered.add([TextDelta(0, "z")])
    assert delivered.is_known
    assert delivered.text == "z"
