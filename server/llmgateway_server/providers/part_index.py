"""Numbers the parts of an answer as its deltas arrive."""

from __future__ import annotations

import enum


class PartKind(enum.Enum):
    """Kinds of which consecutive deltas belong to one part."""

    TEXT = "text"
    REASONING = "reasoning"


class PartIndex:
    """Hands out part numbers, from 0, without gaps.

    Consecutive deltas of one kind share a part, and another kind starts the next one. A tool call
    is a part from its head on: whoever opened it keeps the number, since the fragments of
    parallel calls may be interleaved.
    """

    def __init__(self) -> None:
        self._count = 0
        self._kind: PartKind | None = None

    def of(self, kind: PartKind) -> int:
        """The part that a delta of this kind belongs to."""
        if kind is not self._kind:
            self._kind = kind
            self._count += 1
        return self._count - 1

    def open(self) -> int:
        """A new part of its own."""
        self._kind = None
        self._count += 1
        return self._count - 1
