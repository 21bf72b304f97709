"""Reasoning that nobody asked to see is taken out of a stream."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.events import ProviderEvent, ReasoningDelta, SignatureDelta


class VisibleEvents:
    """Takes reasoning out of a stream whose caller did not ask for it.

    The parts that stay move up, so that part 0 is the first that the caller sees.
    """

    def __init__(self) -> None:
        self._hidden: set[int] = set()

    @property
    def has_hidden(self) -> bool:
        """Whether anything was taken out so far."""
        return bool(self._hidden)

    def filter(self, events: Sequence[ProviderEvent]) -> Sequence[ProviderEvent]:
        """What the caller shall see of a batch."""
        if not self._hidden:
            for event in events:
                kind = type(event)
                if kind is ReasoningDelta or kind is SignatureDelta:
                    break
            else:
                return events
        return [shown for event in events if (shown := self._shown(event)) is not None]

    def _shown(self, event: ProviderEvent) -> ProviderEvent | None:
        if isinstance(event, Usage | Finish):
            return event
        if isinstance(event, ReasoningDelta | SignatureDelta):
            self._hidden.add(event.part_index)
            return None
        # Parts are numbered as they appear, so every hidden one before this one is known by now.
        before = sum(index < event.part_index for index in self._hidden)
        return replace(event, part_index=event.part_index - before) if before else event
