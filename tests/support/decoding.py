"""What a decoder makes of any bytes, and what holds of it in every dialect."""

from collections.abc import Callable, Iterator, Sequence

from hypothesis import strategies as st

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import Decoder, Failure

Decoded = tuple[list[ProviderEvent], Failure | None]
ContentDelta = TextDelta | ReasoningDelta | SignatureDelta | ToolCallDelta


def fed_to(decoder: Decoder, pieces: Sequence[bytes]) -> Decoded:
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.end(), decoder.failure


def failure_in(decoded: Decoded) -> Failure:
    """The failure of a stream that does not end well."""
    events, failure = decoded
    assert failure is not None
    assert not any(isinstance(event, Finish) for event in events)
    return failure


def deltas(events: Sequence[ProviderEvent]) -> list[ProviderEvent]:
    return [event for event in events if not isinstance(event, Usage | Finish)]


def pieces_of(stream: bytes, data: st.DataObject) -> tuple[bytes, bytes, bytes]:
    """A stream cut at two places."""
    at = data.draw(st.integers(0, len(stream)))
    middle = data.draw(st.integers(at, len(stream)))
    return stream[:at], stream[at:middle], stream[middle:]


def assert_split_changes_nothing(
    fed: Callable[..., Decoded], stream: bytes, data: st.DataObject
) -> None:
    events, failure = fed(*pieces_of(stream, data))
    whole, expected = fed(stream)
    # Neighbouring text is joined within a read, so where the reads fall shows in the pieces alone.
    assert (merge(events), failure) == (merge(whole), expected)


def assert_finish_or_failure(decoded: Decoded) -> None:
    events, failure = decoded
    finishes = [event for event in events if isinstance(event, Finish)]
    assert len(finishes) == (1 if failure is None else 0)
    if failure is None:
        assert events[-1] is finishes[0]
        assert [type(event) for event in events].count(Usage) <= 1


def numbered(events: Sequence[ProviderEvent]) -> Iterator[tuple[ContentDelta, bool]]:
    """The deltas, each with whether its part is new; parts have no gaps and keep their kind."""
    kinds: dict[int, type] = {}
    for event in deltas(events):
        assert isinstance(event, ContentDelta)
        # A signature is of the reasoning that it closes.
        kind = ReasoningDelta if isinstance(event, SignatureDelta) else type(event)
        assert event.part_index <= len(kinds)
        new = event.part_index not in kinds
        assert kinds.setdefault(event.part_index, kind) is kind
        yield event, new
