"""Going on with a partial answer: it becomes the beginning of the assistant's message.

The gateway's first part goes on: text that the continued attempt begins with is appended to part
0, and the parts after it keep their numbers. Where the attempt begins with anything else (a tool
call at once), all its parts move up by one, since part 0 is the text that the caller has.

Stop sequences stay as they are. One that begins before the cut and ends after it cannot be missed:
providers hold back what could become one, so that it was never delivered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Part, Role, TextPart
from llmgateway_server.domain.events import ProviderEvent, TextDelta
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    ToolMode,
)
from llmgateway_server.recovery.delivered import Delivered

_BYTES_A_TOKEN: Final = 4


def can_continue(
    request: GenerationRequest, delivered: Delivered, capabilities: Capabilities
) -> bool:
    """Whether a model can be asked to go on from what was delivered.

    Only where all of it is known and plain text, and the model is known to accept a beginning of
    its answer; never where the answer's shape must be that of a whole (JSON, a forced tool call),
    nor while the model reasons, since it would reason after the beginning of its answer.

    Args:
        request: As the caller sent it.
        delivered: What the caller has; white space alone is nothing to go on from.
        capabilities: Those of the model that would go on.
    """
    if capabilities.prefill is not True:
        return False
    effort = request.output.reasoning_effort or capabilities.default_effort
    if effort not in {None, ReasoningEffort.NONE}:
        return False
    if request.output.response_format not in {None, ResponseFormat.TEXT}:
        return False
    choice = request.tool_choice
    if choice.mode is ToolMode.REQUIRED or choice.tool_name:
        return False
    # No text is known where anything else was delivered.
    return bool(delivered.text.strip())


class Seam:
    """Joins the events of a continued attempt to what was delivered before.

    White space at the end of the partial answer was delivered, but is not in the request, since
    some providers refuse it there. The model writes it again, or a part of it, or other text at
    once: as far as the first text repeats the white space, character by character from its
    start, it is dropped. So white space is neither doubled nor lost.
    """

    def __init__(self, cut: str) -> None:
        self._cut = cut
        # How far parts move up; None until the first delta tells.
        self._shift: int | None = None

    def filter(self, events: Sequence[ProviderEvent]) -> Sequence[ProviderEvent]:
        """What the caller shall see of a batch; may be nothing. Nothing is held back."""
        if self._shift == 0 and not self._cut:
            return events
        return [joined for event in events if (joined := self._joined(event)) is not None]

    def _joined(self, event: ProviderEvent) -> ProviderEvent | None:
        if isinstance(event, Usage | Finish):
            return event
        if self._shift is None:
            self._shift = 0 if isinstance(event, TextDelta) else 1
        if self._shift:
            return replace(event, part_index=event.part_index + self._shift)
        if isinstance(event, TextDelta) and event.part_index == 0:
            return self._without_overlap(event)
        self._cut = ""
        return event

    def _without_overlap(self, delta: TextDelta) -> TextDelta | None:
        overlap = 0
        for expected, came in zip(self._cut, delta.text, strict=False):
            if expected != came:
                break
            overlap += 1
        if overlap == len(delta.text):
            self._cut = self._cut[overlap:]
            return None
        self._cut = ""
        return TextDelta(delta.part_index, delta.text[overlap:]) if overlap else delta


class Continuation(Struct, frozen=True):
    """A request that ends with the partial answer, and the seam of what comes back for it."""

    request: GenerationRequest
    seam: Seam


def continuation(request: GenerationRequest, delivered_text: str) -> Continuation:
    """Asks for the rest of an answer.

    Where the caller's own request ends with the beginning of the answer, that message grows
    instead of getting a second one behind it. The output limit is less by what was delivered,
    estimated at four bytes a token, and at least 1: the answer as a whole keeps the caller's
    limit, give or take the error of the estimate.

    Args:
        request: As the caller sent it, not one that this function made.
        delivered_text: All that was delivered so far, of every attempt; not only white space.
    """
    text = delivered_text.rstrip()
    return Continuation(
        request=replace(
            request,
            messages=_with_answer(request.messages, text),
            output=_less(request.output, len(text.encode("utf-8", "replace"))),
        ),
        seam=Seam(cut=delivered_text[len(text) :]),
    )


def _with_answer(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    if not messages or messages[-1].role is not Role.ASSISTANT:
        return (*messages, Message(Role.ASSISTANT, (TextPart(text),)))
    begun = messages[-1]
    return (*messages[:-1], replace(begun, parts=_extended(begun.parts, text)))


def _extended(parts: tuple[Part, ...], text: str) -> tuple[Part, ...]:
    last = parts[-1] if parts else None
    # What ends at a cache breakpoint stays as it was, or the provider's cache would miss it.
    if isinstance(last, TextPart) and not last.cache_breakpoint:
        return (*parts[:-1], replace(last, text=last.text + text))
    return (*parts, TextPart(text))


def _less(output: Output, delivered_bytes: int) -> Output:
    if output.max_output_tokens is None:
        return output
    left = output.max_output_tokens - delivered_bytes // _BYTES_A_TOKEN
    return replace(output, max_output_tokens=max(left, 1))
