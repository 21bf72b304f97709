"""Verify and splice: an answer is made again, and goes on where the caller's copy ends."""

from __future__ import annotations

import enum
from collections.abc import Sequence

from msgspec import Struct

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.events import ProviderEvent, TextDelta
from llmgateway_server.domain.request import GenerationRequest


def is_worth_trying(request: GenerationRequest, failed: Target, other: Target) -> bool:
    """Whether `other` may well write what `failed` wrote.

    So it is where sampling leaves no choice (temperature 0 or a seed), and where the model is the
    same: the same target again, or the same name elsewhere, whatever a provider puts before its
    last slash.
    """
    sampling = request.sampling
    if sampling.temperature == 0 or sampling.seed is not None:
        return True
    return _model_name(failed) == _model_name(other)


def _model_name(target: Target) -> str:
    return target.model.rpartition("/")[2].casefold()


class Progress(enum.Enum):
    """How an answer that is made again compares with what was delivered."""

    WAITING = "waiting"
    """It is the same so far, and not as long; nothing to send."""
    DIFFERS = "differs"
    """It is another answer; nothing of it may be sent."""
    REACHED = "reached"
    """It begins with all that was delivered; what comes now goes on from there."""


class SpliceResult(Struct, frozen=True):
    """The progress, and with REACHED the events to send now, which may be none yet."""

    progress: Progress
    events: Sequence[ProviderEvent] = ()


_WAITING = SpliceResult(Progress.WAITING)
_DIFFERS = SpliceResult(Progress.DIFFERS)


class Splice:
    """Compares an answer that is made again with the text that was delivered.

    Reaching the end of the delivered text decides, however little follows. Anything but text of
    the first part before it is a difference, and so is an answer that ends before it.
    """

    def __init__(self, delivered_text: str) -> None:
        self._delivered = delivered_text
        self._at = 0
        self._usage: Usage | None = None
        self._differs = False

    def feed(self, events: Sequence[ProviderEvent]) -> SpliceResult:
        """Takes the attempt's next events as the caller would see them, in stream order.

        The first DIFFERS is final. After the first REACHED every batch is passed on as it is.
        """
        rest = list(events)
        while rest and not self._differs and self._at < len(self._delivered):
            rest[:1] = self._compared(rest[0])
        if self._differs:
            return _DIFFERS
        if self._at < len(self._delivered):
            return _WAITING
        if self._usage is not None:
            rest.insert(0, self._usage)
            self._usage = None
        return SpliceResult(Progress.REACHED, rest)

    def _compared(self, event: ProviderEvent) -> Sequence[ProviderEvent]:
        """Moves on over an event; what is left of it after the end of the delivered text."""
        if isinstance(event, Usage):
            # The caller needs it only if the answer is passed on.
            self._usage = event
            return ()
        if not isinstance(event, TextDelta) or event.part_index != 0:
            self._differs = True
            return ()
        expected = self._delivered[self._at : self._at + len(event.text)]
        if not event.text.startswith(expected):
            self._differs = True
            return ()
        self._at += len(expected)
        rest = event.text[len(expected) :]
        return [TextDelta(0, rest)] if rest else ()
