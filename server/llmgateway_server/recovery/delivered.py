"""What a caller holds of an answer when its provider fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from llmgateway_server.domain.events import (
    Delta,
    StreamEvent,
    TextDelta,
)

MOST_CHARACTERS: Final = 256 * 1024
"""The longest text that is remembered; a longer answer can only be restarted."""

# Batches that wait to be looked at: most answers end well, and nobody asks what was delivered.
_WAITING: Final = 64


class Delivered:
    """Remembers what was delivered of one answer, as far as a recovery has use for it.

    The text is kept as long as nothing but text came and it is not too long; after that only the
    fact that there was content is.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forgets everything: the caller was told to drop it."""
        self._waiting: list[Sequence[StreamEvent]] = []
        self._text: list[str] | None = []
        self._room = MOST_CHARACTERS
        self._has_text = False
        self._has_others = False

    def add(self, events: Sequence[StreamEvent]) -> None:
        """Takes events that were delivered, in stream order; only deltas count."""
        waiting = self._waiting
        waiting.append(events)
        if len(waiting) >= _WAITING:
            self._look()

    @property
    def has_content(self) -> bool:
        """Whether the caller was given any content."""
        self._look()
        return self._has_text or self._has_others

    @property
    def is_text_only(self) -> bool:
        """Whether there is content, and all of it is text of the first part."""
        self._look()
        return self._has_text and not self._has_others

    @property
    def is_known(self) -> bool:
        """Whether `text` is all that was delivered."""
        self._look()
        return self._text is not None

    @property
    def text(self) -> str:
        """The delivered text; empty where it is not known any more."""
        self._look()
        return "".join(self._text) if self._text is not None else ""

    def _look(self) -> None:
        """Takes in what waits, and joins it."""
        waiting, self._waiting = self._waiting, []
        pieces: list[str] = []
        for events in waiting:
            for event in events:
                if type(event) is TextDelta and event.part_index == 0:
                    pieces.append(event.text)
                elif isinstance(event, Delta):
                    self._has_others = True
        self._has_text = self._has_text or bool(pieces)
        if self._text is None:
            return
        joined = "".join(pieces)
        self._room -= len(joined)
        if self._has_others or self._room < 0:
            self._text = None
        elif joined:
            self._text.append(joined)
