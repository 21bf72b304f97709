"""Takes off an answer what its provider repeats of the request.

A caller that has an answer continued has its beginning already, and every other provider sends the
rest alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from llmgateway_server.domain.events import ProviderEvent, TextDelta


class Echo:
    """The text that may yet be repeated by the answer that comes in.

    What begins like the echo is held back until it is all there; where the answer then goes on
    differently it was no echo, and nothing is taken off.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._held = ""
        self._part_index = 0
        self.is_over = False

    def without(self, events: Sequence[ProviderEvent]) -> list[ProviderEvent]:
        """The events without what they repeat."""
        out: list[ProviderEvent] = []
        for event in events:
            if self.is_over:
                out.append(event)
            elif isinstance(event, TextDelta):
                self._hear(event, out)
            else:
                # Anything else than text comes behind the echo, or there is none.
                self._release(out)
                out.append(event)
        return out

    def _hear(self, event: TextDelta, out: list[ProviderEvent]) -> None:
        self._held += event.text
        self._part_index = event.part_index
        if self._held.startswith(self._text):
            self.is_over = True
            rest = self._held[len(self._text) :]
            if rest:
                out.append(replace(event, text=rest))
        elif not self._text.startswith(self._held):
            self._release(out)

    def _release(self, out: list[ProviderEvent]) -> None:
        self.is_over = True
        if self._held:
            out.append(TextDelta(self._part_index, self._held))
