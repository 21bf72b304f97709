"""What a shared call has produced so far, for readers that are not equally far."""

from __future__ import annotations

from collections.abc import Sequence

from llmgateway_server.domain.coalesce import content_size, merge
from llmgateway_server.domain.events import StreamEvent


class EventLog:
    """The events of an answer after its start, each at a position that it keeps for ever.

    What every reader has read can be merged, for those who come later, or dropped. `content`
    counts the characters that are kept, `produced` all that ever came.
    """

    def __init__(self) -> None:
        self.content = 0
        self.produced = 0
        self._events: list[StreamEvent] = []
        # Where the events that are kept begin; counted on as if merged ones were still single.
        self._first = 0
        self._merged = 0

    @property
    def first(self) -> int:
        """The position of the first event kept: where one begins who has read nothing."""
        return self._first

    @property
    def end(self) -> int:
        """The position of the next event to come."""
        return self._first + len(self._events)

    @property
    def unmerged(self) -> int:
        """How many events have not been through `merge_before`."""
        return len(self._events) - self._merged

    def append(self, event: StreamEvent) -> None:
        """Adds the next event."""
        self._events.append(event)
        size = content_size(event)
        self.content += size
        self.produced += size

    def after(self, position: int) -> Sequence[StreamEvent]:
        """The events from a position on, which is `first`, `end` or was `end` before."""
        return self._events[position - self._first :]

    def merge_before(self, position: int) -> None:
        """Joins events before a position that every reader has come to, or passed.

        Otherwise an event a token would be kept, of ten times its text's size. What was merged
        before is left alone, so that nothing is copied twice.
        """
        count = position - self._first
        if count > self._merged:
            merged = merge(self._events[self._merged : count])
            self._events[self._merged : count] = merged
            self._first += count - self._merged - len(merged)
            self._merged += len(merged)

    def drop_before(self, position: int) -> None:
        """Forgets the events before a position; whoever has not come to it begins there."""
        count = position - self._first
        self.content -= sum(map(content_size, self._events[:count]))
        del self._events[:count]
        self._first = position
        self._merged = max(self._merged - count, 0)
