"""Law 1 over random streams: however events are merged, cut and sent, the fold is the same."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Answer, Finish, FinishReason, Route, Usage
from llmgateway_server.domain.coalesce import merge, split
from llmgateway_server.domain.content import ReasoningPart, TextPart, ToolCallPart
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
from llmgateway_server.domain.fold import Fold

ROUTE = Route("p", "m")
OTHER = Route("q", "m", attempt_count=2)
START = StreamStart("01", "p/m", ROUTE)
END: list[StreamEvent] = [Usage(1, 2), Finish(FinishReason.STOP)]
CAUSE = AttemptFailure("p", "m", 500)


def fold(events: Sequence[StreamEvent]) -> Answer:
    folding = Fold()
    for event in events:
        folding.add(event)
    return folding.answer()


@st.composite
def deltas(draw: st.DrawFn) -> list[Delta]:
    """Parts of random kinds that grow interleaved; a tool call's id and name come first."""
    kinds = draw(st.lists(st.sampled_from(["text", "reasoning", "tool"]), max_size=4))
    headed: set[int] = set()
    events: list[Delta] = []
    if not kinds:
        return events
    for index in draw(st.lists(st.integers(0, len(kinds) - 1), max_size=30)):
        text = draw(st.text(max_size=5))
        match kinds[index]:
            case "text":
                events.append(TextDelta(index, text))
            case "reasoning" if draw(st.booleans()):
                events.append(SignatureDelta(index, text.encode("utf-8", "replace")))
            case "reasoning":
                events.append(ReasoningDelta(index, text))
            case _:
                head = ("", "") if index in headed else (f"id-{index}", "f")
                headed.add(index)
                events.append(ToolCallDelta(index, *head, text))
    return events


@st.composite
def streams(draw: st.DrawFn) -> list[StreamEvent]:
    """Whole streams, with at most one mid-stream recovery."""
    events: list[StreamEvent] = [START, *draw(deltas())]
    kind = draw(st.sampled_from([None, *RecoveryKind]))
    if kind is RecoveryKind.RESTARTED:
        events += [Recovery(kind, OTHER, CAUSE), *draw(deltas())]
    elif kind is RecoveryKind.CONTINUED:
        events += [Recovery(kind, OTHER, CAUSE), TextDelta(9, "more")]
    return [*events, *END]


@given(streams())
def test_merging_does_not_change_the_fold(events: list[StreamEvent]) -> None:
    assert fold(merge(events)) == fold(events)


@given(streams(), st.integers(1, 8))
def test_cutting_into_messages_does_not_change_the_fold(
    events: list[StreamEvent], limit: int
) -> None:
    runs = list(split(merge(events), limit))
    assert fold([event for run in runs for event in run]) == fold(events)


@given(streams(), st.integers(1, 8))
def test_no_message_holds_more_than_its_limit(events: list[StreamEvent], limit: int) -> None:
    for run in split(merge(events), limit):
        texts = [e.text for e in run if isinstance(e, TextDelta | ReasoningDelta)]
        arguments = [e.arguments_json for e in run if isinstance(e, ToolCallDelta)]
        assert sum(map(len, texts + arguments)) <= limit


@given(streams())
def test_a_recovery_opens_its_message(events: list[StreamEvent]) -> None:
    for run in split(merge(events), 1000):
        assert not any(isinstance(event, Recovery) for event in run[1:])


@given(st.lists(deltas(), max_size=5))
def test_merging_batch_by_batch_folds_like_merging_at_once(batches: list[list[Delta]]) -> None:
    parts: list[list[StreamEvent]] = []
    for number, batch in enumerate(batches):
        moved = [_moved(delta, number * 10) for delta in batch]
        parts.append([*moved])
    whole = [event for part in parts for event in part]
    merged = [event for part in parts for event in merge(part)]
    assert fold([START, *merged, *END]) == fold([START, *whole, *END])


def _moved(delta: Delta, by: int) -> Delta:
    match delta:
        case TextDelta():
            return TextDelta(delta.part_index + by, delta.text)
        case ReasoningDelta():
            return ReasoningDelta(delta.part_index + by, delta.text)
        case SignatureDelta():
            return SignatureDelta(delta.part_index + by, delta.signature)
        case ToolCallDelta():
            return ToolCallDelta(
                delta.part_index + by, delta.tool_call_id, delta.name, delta.arguments_json
            )


def test_neighbours_of_one_kind_and_part_become_one_delta() -> None:
    events: list[StreamEvent] = [TextDelta(0, "a"), TextDelta(0, "b"), TextDelta(1, "c")]
    assert merge(events) == [TextDelta(0, "ab"), TextDelta(1, "c")]


def test_a_head_of_a_tool_call_is_never_merged_into_the_call_before_it() -> None:
    events: list[StreamEvent] = [
        ToolCallDelta(0, "a", "f", "{"),
        ToolCallDelta(0, arguments_json="}"),
        ToolCallDelta(0, "b", "g", "{}"),
    ]
    assert merge(events) == [ToolCallDelta(0, "a", "f", "{}"), events[2]]


def test_the_fold_builds_parts_of_each_kind_in_order() -> None:
    answer = fold(
        [
            START,
            ReasoningDelta(0, "hm"),
            SignatureDelta(0, b"sig"),
            ToolCallDelta(2, "id", "f", '{"a":'),
            TextDelta(1, "hel"),
            ToolCallDelta(2, arguments_json="1}"),
            TextDelta(1, "lo"),
            *END,
        ]
    )
    assert answer.parts == (
        ReasoningPart("hm", b"sig", "p"),
        TextPart("hello"),
        ToolCallPart("id", "f", '{"a":1}'),
    )
