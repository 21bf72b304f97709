"""What is known of an answer while it comes in: wire events in, our events out."""

from __future__ import annotations

from typing import Any, Final, Literal

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ProviderEvent,
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.openai_responses.content import (
    SECTION_BREAK,
    call_arguments,
    message_text,
    reasoning_text,
    text_or_empty,
)
from llmgateway_server.providers.openai_responses.finish import failure_of, finish_of
from llmgateway_server.providers.openai_responses.reasoning import signature_of
from llmgateway_server.providers.openai_responses.usage import reported_usage
from llmgateway_server.providers.openai_responses.wire import Event, Item, Response
from llmgateway_server.providers.part_index import PartIndex
from llmgateway_server.providers.request_writing import RESPONSE_TOOL

Kind = Literal["message", "reasoning", "function_call"]
_KINDS: Final[dict[str, Kind]] = {
    "message": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
}


class _OpenItem:
    """An item of the output, which is one part from its first content on."""

    __slots__ = (
        *("has_content", "held", "is_answer", "is_signed", "kind", "part_index", "told_by"),
    )

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.part_index: int | None = None
        self.has_content = False
        # The event type and section of the reasoning so far: some servers tell it twice over.
        self.told_by: tuple[Any, Any] | None = None
        self.is_signed = False
        # A call that is no call of the caller's tools but the answer itself.
        self.is_answer = False
        # A call's arguments from before its name, which goes out first.
        self.held: list[str] = []


class Output:
    """One answer, from its first item to its finish.

    Pieces are told apart by the place of their item in the output, or by its id where there is no
    place, since some proxies give an item another id in every event. What an event of the end
    repeats is told where it was not before: not all servers send their items in pieces.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._parts = PartIndex()
        self._items: list[_OpenItem] = []
        self._by_key: dict[tuple[Kind, Any], _OpenItem] = {}
        self._last: dict[Kind, _OpenItem] = {}
        self._is_refusal = False
        self._message: _OpenItem | None = None
        self._message_place: Any = None
        # Neighbouring pieces of text, told as one.
        self._run: list[str] = []

    @property
    def began(self) -> bool:
        """Whether an item of the answer has come."""
        return bool(self._items)

    def add_text(self, event: Event, out: list[ProviderEvent]) -> None:
        """Takes more text, for `flush` to tell."""
        if self._message is None or event.output_index != self._message_place:
            self.flush(out)
            self._message = self._find("message", event.output_index, event.item_id)
            self._message_place = event.output_index
        self._run.append(_piece(event))

    def flush(self, out: list[ProviderEvent]) -> None:
        """Appends the text added since the last time."""
        if self._run:
            text = "".join(self._run)
            self._run.clear()
            if text and self._message is not None:
                out.append(TextDelta(self._opened(self._message), text))

    def add_refusal(self, event: Event, out: list[ProviderEvent]) -> None:
        """Takes more of a refusal, which is text that ends in a finish of its own."""
        self._is_refusal = True
        self.add_text(event, out)

    def add_reasoning(self, event: Event, out: list[ProviderEvent]) -> None:
        """Takes more of a summary, or of the reasoning itself."""
        text = _piece(event)
        if not text:
            return
        item = self._find("reasoning", event.output_index, event.item_id)
        before = item.told_by
        if before is not None:
            if before[0] != event.type:
                return
            if before[1] != event.summary_index:
                text = SECTION_BREAK + text
        item.told_by = (event.type, event.summary_index)
        out.append(ReasoningDelta(self._opened(item), text))

    def add_arguments(self, event: Event, out: list[ProviderEvent]) -> None:
        """Takes more of a call's arguments."""
        item = self._find("function_call", event.output_index, event.item_id)
        self._tell_arguments(item, _piece(event), out)

    def begin(self, item: Item, place: Any, out: list[ProviderEvent]) -> None:
        """Takes the head of a new item; what else is in it comes again."""
        kind = _kind(item)
        if kind is None:
            return
        begun = self._new(kind, place, item.id, item.call_id)
        if kind == "function_call":
            self._name(begun, item, out)
        elif kind == "message":
            self._message = None

    def complete(self, item: Item, place: Any, out: list[ProviderEvent]) -> None:
        """Takes a whole item and tells what of it has not been told.

        Raises:
            ValueError: it cannot be read.
        """
        kind = _kind(item)
        if kind is not None:
            self._complete(self._find(kind, place, item.id, item.call_id), item, out)

    def close(self, response: Response, status: str, out: list[ProviderEvent]) -> None:
        """Ends the answer: what its items still hold, the usage, where there is any, the finish.

        Raises:
            WireError: the answer ended, but not well.
            ValueError: an item cannot be read.
        """
        self.usage = reported_usage(response.usage)
        failure = failure_of(response, status)
        if failure is not None:
            raise WireError(failure)
        self._complete_all(list(filter(None, response.output or ())), out)
        calls = [
            item for item in self._items if item.kind == "function_call" and not item.is_answer
        ]
        for call in calls:
            if call.part_index is None:
                raise WireError(
                    Failure(Reason.PROVIDER_PROTOCOL_ERROR, "it sent a tool call without a name")
                )
            if not call.has_content:
                # No arguments are an empty object: what a caller gets is always JSON.
                out.append(ToolCallDelta(call.part_index, arguments_json="{}"))
        if self.usage is not None:
            out.append(self.usage)
        out.append(
            finish_of(response, status, has_tool_calls=bool(calls), is_refusal=self._is_refusal)
        )

    def _complete_all(self, output: list[Item], out: list[ProviderEvent]) -> None:
        """Completes the items by their order within their kind.

        In the list of the end some servers leave out items that they streamed, so that the places
        in it are others.
        """
        waiting: dict[Kind, list[_OpenItem]] = {kind: [] for kind in _KINDS.values()}
        for begun in reversed(self._items):
            waiting[begun.kind].append(begun)
        for item in output:
            kind = _kind(item)
            if kind is not None:
                begun = waiting[kind].pop() if waiting[kind] else self._new(kind)
                self._complete(begun, item, out)

    def _complete(self, begun: _OpenItem, item: Item, out: list[ProviderEvent]) -> None:
        match begun.kind:
            case "message":
                text, is_refusal = message_text(item)
                self._is_refusal = self._is_refusal or is_refusal
                if text and not begun.has_content:
                    out.append(TextDelta(self._opened(begun), text))
            case "reasoning":
                text = reasoning_text(item)
                if text and not begun.has_content:
                    out.append(ReasoningDelta(self._opened(begun), text))
                self._sign(begun, item, out)
            case "function_call":
                self._name(begun, item, out)
                if not begun.has_content:
                    self._tell_arguments(begun, call_arguments(item), out)

    def _sign(self, begun: _OpenItem, item: Item, out: list[ProviderEvent]) -> None:
        encrypted = text_or_empty(item.encrypted_content)
        if encrypted and not begun.is_signed:
            begun.is_signed = True
            signature = signature_of(text_or_empty(item.id), encrypted)
            if begun.part_index is None:
                begun.part_index = self._parts.open()
            out.append(SignatureDelta(begun.part_index, signature))

    def _name(self, begun: _OpenItem, item: Item, out: list[ProviderEvent]) -> None:
        """Tells a call's id and name as soon as they are known; they come before its arguments."""
        name = text_or_empty(item.name)
        if begun.part_index is not None or not name:
            return
        begun.part_index = self._parts.open()
        if name == RESPONSE_TOOL:
            begun.is_answer = True
            held = "".join(begun.held)
            if held:
                out.append(TextDelta(begun.part_index, held))
            begun.held.clear()
            return
        # A caller needs an id to answer the call.
        call_id = text_or_empty(item.call_id) or text_or_empty(item.id)
        call_id = call_id or f"call_{begun.part_index}"
        out.append(ToolCallDelta(begun.part_index, call_id, name, "".join(begun.held)))
        begun.held.clear()

    def _tell_arguments(self, begun: _OpenItem, text: str, out: list[ProviderEvent]) -> None:
        if not text:
            return
        begun.has_content = True
        if begun.part_index is None:
            begun.held.append(text)
        elif begun.is_answer:
            out.append(TextDelta(begun.part_index, text))
        else:
            out.append(ToolCallDelta(begun.part_index, arguments_json=text))

    def _opened(self, item: _OpenItem) -> int:
        """The part of an item that has content now."""
        item.has_content = True
        if item.part_index is None:
            item.part_index = self._parts.open()
        return item.part_index

    def _find(self, kind: Kind, *names: Any) -> _OpenItem:
        """The item that a place or an id names; without any it is the last of its kind."""
        is_named = False
        for name in names:
            if _is_name(name):
                is_named = True
                item = self._by_key.get((kind, name))
                if item is not None:
                    return item
        if not is_named and kind in self._last:
            return self._last[kind]
        return self._new(kind, *names)

    def _new(self, kind: Kind, *names: Any) -> _OpenItem:
        item = self._last[kind] = _OpenItem(kind)
        self._items.append(item)
        for name in names:
            if _is_name(name):
                self._by_key[kind, name] = item
        return item


def _is_name(value: Any) -> bool:
    return isinstance(value, int | str) and value != ""


def _kind(item: Item) -> Kind | None:
    """What an item is; None for the provider's own tools at work, which say nothing."""
    return _KINDS.get(text_or_empty(item.type))


def _piece(event: Event) -> str:
    """The text that an event brings.

    Raises:
        ValueError: it is no text.
    """
    delta = event.delta
    if type(delta) is str:
        return delta
    if delta is None:
        return ""
    raise ValueError("a delta that is no text")
