"""An answer made again is passed on exactly where the delivered one ends, or not at all."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Answer, Finish, FinishReason, Route, Usage
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.fold import Fold
from llmgateway_server.domain.request import GenerationRequest, Sampling
from llmgateway_server.recovery.splice import Progress, Splice, is_worth_trying

ROUTE = Route("p", "m")
START = StreamStart("01", "p/m", ROUTE)
CONTINUED = Recovery(RecoveryKind.CONTINUED, ROUTE, AttemptFailure("p", "m", 500))
END: list[ProviderEvent] = [Usage(1, 2), Finish(FinishReason.STOP)]
CALL = ToolCallDelta(1, "id", "f", "{}")
TEXT = st.text("ab\U0001f600", min_size=1, max_size=20)


SIZES = st.lists(st.integers(1, 4), max_size=8)


@st.composite
def reads(
    draw: st.DrawFn, text: st.SearchStrategy[str], after: Sequence[ProviderEvent] = END
) -> list[list[ProviderEvent]]:
    """The text and what comes after it, in any deltas and any batches, empty ones too."""
    rest = draw(text)
    events: list[ProviderEvent] = []
    for size in [*draw(SIZES), len(rest)]:
        if rest:
            events.append(TextDelta(0, rest[:size]))
        rest = rest[size:]
    events += after
    found: list[list[ProviderEvent]] = []
    for size in draw(st.lists(st.integers(0, 4), max_size=8)):
        found.append(events[:size])
        events = events[size:]
    return [*found, events]


def run(
    splice: Splice, batches: Sequence[list[ProviderEvent]]
) -> tuple[Progress, list[StreamEvent]]:
    """The last progress, and all that was sent; each step only ever leads forward."""
    progress, sent = Progress.WAITING, list[StreamEvent]()
    for batch in batches:
        result = splice.feed(batch)
        assert progress in {Progress.WAITING, result.progress}
        assert result.progress is Progress.REACHED or not result.events
        progress = result.progress
        sent += result.events
    return progress, sent


def fold(events: Sequence[StreamEvent]) -> Answer:
    folding = Fold()
    for event in events:
        folding.add(event)
    return folding.answer()


@given(TEXT, st.data())
def test_delivered_and_spliced_fold_to_the_answer_exactly_once(
    text: str, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(text)))
    after = [CALL, *END] if data.draw(st.booleans()) else END
    batches = data.draw(reads(st.just(text), after))
    progress, sent = run(Splice(text[:cut]), batches)
    assert progress is Progress.REACHED
    assert all(event.text for event in sent if isinstance(event, TextDelta))
    delivered = [TextDelta(0, text[:cut])] if cut else []
    spliced = [START, *delivered, CONTINUED, *sent]
    assert fold(spliced) == fold([START, TextDelta(0, text), *after])


@given(st.data())
def test_a_difference_before_the_cut_is_found_and_nothing_is_ever_sent(
    data: st.DataObject,
) -> None:
    delivered = data.draw(TEXT)
    other = data.draw(TEXT.filter(lambda text: not text.startswith(delivered)))
    progress, sent = run(Splice(delivered), data.draw(reads(st.just(other))))
    assert progress is Progress.DIFFERS
    assert not sent


@given(TEXT, st.data())
def test_it_waits_until_the_end_of_the_delivered_text_and_not_longer(
    text: str, data: st.DataObject
) -> None:
    splice, seen = Splice(text), ""
    for batch in data.draw(reads(st.just(text), after=[])):
        seen += "".join(event.text for event in batch if isinstance(event, TextDelta))
        result = splice.feed(batch)
        assert result.progress is (Progress.REACHED if seen == text else Progress.WAITING)
        assert not result.events


@given(TEXT, st.data())
def test_a_difference_is_found_in_its_own_batch(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    splice = Splice(text)
    if at:
        assert splice.feed([TextDelta(0, text[:at])]).progress is Progress.WAITING
    assert splice.feed([TextDelta(0, "#")]).progress is Progress.DIFFERS
    assert splice.feed([TextDelta(0, text)]).progress is Progress.DIFFERS


@pytest.mark.parametrize(
    "event",
    [CALL, ReasoningDelta(0, "He"), TextDelta(1, "llo"), Finish(FinishReason.STOP)],
    ids=["tool call", "reasoning", "another part", "finish"],
)
def test_anything_but_the_text_before_its_end_differs(event: ProviderEvent) -> None:
    assert Splice("Hello").feed([event]).progress is Progress.DIFFERS
    assert Splice("Hello").feed([TextDelta(0, "He"), event]).progress is Progress.DIFFERS


def test_a_finish_exactly_at_the_end_is_passed_on_with_its_usage() -> None:
    result = Splice("Hello").feed([TextDelta(0, "Hello"), *END])
    assert (result.progress, list(result.events)) == (Progress.REACHED, END)


def test_usage_that_comes_early_is_passed_on_only_with_the_answer() -> None:
    splice = Splice("Hello")
    assert splice.feed([Usage(1, 1), TextDelta(0, "He")]).progress is Progress.WAITING
    assert list(splice.feed([TextDelta(0, "llo!")]).events) == [Usage(1, 1), TextDelta(0, "!")]
    assert list(splice.feed(END).events) == END


def test_after_the_end_every_batch_is_passed_on() -> None:
    splice = Splice("Hello")
    splice.feed([TextDelta(0, "Hello")])
    assert list(splice.feed([TextDelta(0, "Hello"), CALL]).events) == [TextDelta(0, "Hello"), CALL]


ASK = GenerationRequest("m", (Message(Role.USER, (TextPart("hi"),)),))
FAILED = Target("openai", "gpt-4o")


@pytest.mark.parametrize(
    ("sampling", "other", "worth"),
    [
        (Sampling(), Target("anthropic", "claude"), False),
        (Sampling(temperature=0.0), Target("anthropic", "claude"), True),
        (Sampling(temperature=0.1), Target("anthropic", "claude"), False),
        (Sampling(seed=0), Target("anthropic", "claude"), True),
        (Sampling(), FAILED, True),
        (Sampling(), Target("azure", "gpt-4o"), True),
        (Sampling(), Target("openrouter", "openai/GPT-4o"), True),
        (Sampling(), Target("openrouter", "openai/gpt-4o-mini"), False),
    ],
)
def test_it_is_tried_where_the_same_answer_can_be_hoped_for(
    sampling: Sampling, other: Target, worth: bool
) -> None:
    request = GenerationRequest("m", ASK.messages, sampling)
    assert is_worth_trying(request, FAILED, other) is worth
    assert is_worth_trying(request, other, FAILED) is worth
