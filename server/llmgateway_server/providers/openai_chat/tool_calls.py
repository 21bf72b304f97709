"""Tool calls as they arrive: whole, or in pieces, with or without an index."""

from __future__ import annotations

import msgspec

from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta, ToolCallDelta
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.openai_chat.wire import Function, ToolCall
from llmgateway_server.providers.part_index import PartIndex
from llmgateway_server.providers.request_writing import RESPONSE_TOOL


class _OpenCall:
    """A call whose end is not known before the answer's."""

    __slots__ = ("arguments", "has_arguments", "id", "is_answer", "part_index")

    def __init__(self) -> None:
        self.part_index: int | None = None
        self.id = ""
        # It is no call of the caller's tools but the answer itself.
        self.is_answer = False
        # Held back until the name is there, which goes out first.
        self.arguments = ""
        self.has_arguments = False


class ToolCalls:
    """The tool calls of one answer."""

    def __init__(self, parts: PartIndex) -> None:
        self._parts = parts
        self._calls: list[_OpenCall] = []
        self._by_index: dict[int, _OpenCall] = {}

    @property
    def any(self) -> bool:
        """Whether the model called a tool of the caller's."""
        return any(not call.is_answer for call in self._calls)

    @property
    def has_answer(self) -> bool:
        """Whether the model gave its answer as a call; see RESPONSE_TOOL."""
        return any(call.is_answer for call in self._calls)

    def add(self, piece: ToolCall, out: list[ProviderEvent]) -> None:
        """Takes one entry of `tool_calls` and appends the delta it makes.

        Raises:
            WireError: its arguments are none.
        """
        function = piece.function
        name = (function.name if function is not None else None) or ""
        arguments = _arguments(function) if function is not None else ""
        if not (piece.id or name or arguments):
            return
        call = self._find(piece, name)
        if arguments:
            call.has_arguments = True
        if call.part_index is not None:
            if arguments and call.is_answer:
                out.append(TextDelta(call.part_index, arguments))
            elif arguments:
                out.append(ToolCallDelta(call.part_index, arguments_json=arguments))
            return
        call.id = call.id or piece.id or ""
        call.arguments += arguments
        if name == RESPONSE_TOOL:
            call.is_answer = True
            call.part_index = self._parts.open()
            if call.arguments:
                out.append(TextDelta(call.part_index, call.arguments))
        elif name:
            call.part_index = self._parts.open()
            # Some servers give no id; a caller needs one to answer the call.
            call.id = call.id or f"call_{len(self._calls) - 1}"
            out.append(ToolCallDelta(call.part_index, call.id, name, call.arguments))

    def close(self, out: list[ProviderEvent]) -> None:
        """Completes the calls at the end of the answer.

        Raises:
            WireError: a call has no name.
        """
        for call in self._calls:
            if call.part_index is None:
                raise _malformed("it sent a tool call without a name")
            if not call.has_arguments and not call.is_answer:
                # No arguments are an empty object: what a caller gets is always JSON.
                out.append(ToolCallDelta(call.part_index, arguments_json="{}"))

    def _find(self, piece: ToolCall, name: str) -> _OpenCall:
        """The call that a piece belongs to.

        By index; yet Gemini's compatible endpoint calls all of them 0, so another id with a name
        is another call. Without an index, an id or a name begins a call and the rest belongs to
        the last.
        """
        if piece.index is None:
            call = self._by_id(piece.id) if piece.id else None
            if call is None and not (piece.id or name) and self._calls:
                call = self._calls[-1]
        else:
            call = self._by_index.get(piece.index)
            if call is not None and name and piece.id and call.id and call.id != piece.id:
                call = self._by_id(piece.id)
        if call is None:
            call = _OpenCall()
            self._calls.append(call)
        if piece.index is not None:
            self._by_index[piece.index] = call
        return call

    def _by_id(self, call_id: str) -> _OpenCall | None:
        return next((call for call in self._calls if call.id == call_id), None)


def _arguments(function: Function) -> str:
    """The arguments as JSON text, or a piece of it; empty where there are none.

    Raises:
        WireError: they are no arguments.
    """
    arguments = function.arguments
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    if isinstance(arguments, list):
        if arguments:
            raise _malformed("it sent a tool call whose arguments are a list")
        return ""
    return arguments or ""


def _malformed(message: str) -> WireError:
    return WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, message))
