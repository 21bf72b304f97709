"""Law 4: what became available together is sent together, in as few deltas as it has kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from llmgateway_server.domain.events import (
    ReasoningDelta,
    Recovery,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)


def merge(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """Joins neighbouring deltas of the same part and kind; their fold stays the same."""
    if len(events) == 1:
        return [events[0]]
    merged: list[StreamEvent] = []
    at = 0
    while at < len(events):
        event = events[at]
        end = at + 1
        while end < len(events) and _continues(event, events[end]):
            end += 1
        merged.append(event if end == at + 1 else _joined(events[at:end]))
        at = end
    return merged


def _continues(first: StreamEvent, other: StreamEvent) -> bool:
    if isinstance(first, TextDelta | ReasoningDelta):
        return type(other) is type(first) and other.part_index == first.part_index
    if isinstance(first, ToolCallDelta):
        # A delta with an id is the head of another call, whatever part it says it is.
        return (
            isinstance(other, ToolCallDelta)
            and other.part_index == first.part_index
            and not other.tool_call_id
            and not other.name
        )
    return False


def _joined(events: Sequence[StreamEvent]) -> StreamEvent:
    first = events[0]
    if isinstance(first, TextDelta | ReasoningDelta):
        text = "".join(e.text for e in events if isinstance(e, TextDelta | ReasoningDelta))
        return replace(first, text=text)
    if isinstance(first, ToolCallDelta):
        arguments = "".join(e.arguments_json for e in events if isinstance(e, ToolCallDelta))
        return replace(first, arguments_json=arguments)
    raise TypeError(f"{type(first).__name__} events are never joined")


def split(events: Sequence[StreamEvent], limit: int) -> Iterator[list[StreamEvent]]:
    """Cuts merged events into runs of at most `limit` characters of content each.

    A message must stay far below the 4 MiB that gRPC clients accept by default, whatever a
    provider sends in one piece. Cuts fall between code points.
    """
    if len(events) == 1 and content_size(events[0]) <= limit:
        yield [events[0]]
        return
    run: list[StreamEvent] = []
    room = limit
    for event in events:
        for piece in _pieces(event, limit):
            size = content_size(piece)
            # A recovery applies before the deltas of its message, so it opens one.
            if run and (size > room or isinstance(piece, Recovery)):
                yield run
                run, room = [], limit
            run.append(piece)
            room -= size
    if run:
        yield run


def content_size(event: StreamEvent) -> int:
    """The characters of content in an event."""
    # For every event of every stream: a union would be made anew each time.
    if isinstance(event, TextDelta):
        return len(event.text)
    if isinstance(event, ReasoningDelta):
        return len(event.text)
    if isinstance(event, ToolCallDelta):
        return len(event.arguments_json)
    return 0


def _pieces(event: StreamEvent, limit: int) -> Iterator[StreamEvent]:
    if content_size(event) <= limit:
        yield event
    elif isinstance(event, TextDelta | ReasoningDelta):
        for at in range(0, len(event.text), limit):
            yield replace(event, text=event.text[at : at + limit])
    elif isinstance(event, ToolCallDelta):
        arguments = event.arguments_json
        yield replace(event, arguments_json=arguments[:limit])
        for at in range(limit, len(arguments), limit):
            yield ToolCallDelta(event.part_index, arguments_json=arguments[at : at + limit])
