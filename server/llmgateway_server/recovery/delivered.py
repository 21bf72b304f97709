"""What a caller holds of an answer when its provider fails."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

from llmgateway_server.domain.events import (
    Delta,
    StreamEvent,
    TextDelta,
)

MOST_CHARACTERS: Final = 256 * 1024
"""The longest text that is remembered; a longer answer can only be restarted."""


class Delivered:
    """Remembers what was delivered of one answer, as far as a recovery has use for it.

    The text is kept as long as nothing but text came and it is not too long; after that only the
    fact that there was content is.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forgets everything: the caller was told to drop it."""
        self._text: io.StringIO | None = io.StringIO(newline="")
        self._room = MOST_CHARACTERS
        self._has_text = False
        self._has_others = False

    def add(self, events: Sequence[StreamEvent]) -> None:
        """Takes events that were delivered, in stream order; only deltas count."""
        for event in events:
            if type(event) is TextDelta and event.part_index == 0:
                self._has_text = True
                if self._text is not None:
                    self._room -= len(event.text)
                    if self._room >= 0:
                        self._text.write(event.text)
                    else:
                        self._text = None
            elif isinstance(event, Delta):
                self._has_others = True
                self._text = None

    @property
    def has_content(self) -> bool:
        """Whether the caller was given any content."""
        return self._has_text or self._has_others

    @property
    def is_text_only(self) -> bool:
        """Whether there is content, and all of it is text of the first part."""
        return self._has_text and not self._has_others

    @property
    def is_known(self) -> bool:
        """Whether `text` is all that was delivered."""
        return self._text is not None

    @property
    def text(self) -> str:
        """The delivered text; empty where it is not known any more."""
        return self._text.getvalue() if self._text is not None else ""
