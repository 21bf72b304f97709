"""Puts a conversation into Anthropic's turns.

Source: https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

import msgspec
from msgspec import Struct

from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.providers.anthropic.signature import REDACTED, THINKING, thinking_block
from llmgateway_server.providers.request_writing import Json, invalid, misplaced, unsupported

MAX_BREAKPOINTS: Final = 4

_PDF: Final = "application/pdf"
_ROLES: Final = {Role.USER: "user", Role.TOOL: "user", Role.ASSISTANT: "assistant"}
_NOT_IN_ID: Final = re.compile(r"[^A-Za-z0-9_-]")
_ARGUMENTS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Prompt(Struct, frozen=True):
    """A conversation in Anthropic's words: the system's blocks, and the turns."""

    system: list[Json]
    messages: list[Json]

    @property
    def continues_unthought_calls(self) -> bool:
        """Whether it ends in the results of calls, and no thinking stands before any of those."""
        end = len(self.messages)
        while end >= 2 and _is(self.messages[end - 1], "tool_result"):
            if _is(self.messages[end - 2], THINKING, REDACTED):
                return False
            end -= 2
        return end < len(self.messages)


class PromptWriter:
    """Writes the messages of one request.

    Consecutive messages of one role become one turn, with the results of tools first: they must
    directly follow their calls. System messages all go into `system`, in their order and also
    those from the middle of the conversation: the API has no other place with a system's
    authority, and between calls and results there is none at all. Text that is blank is left out,
    since the API refuses it, and so is its mark of the cache.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._system: list[Json] = []
        self._turns: list[_Turn] = []
        self._breakpoints = 0

    def write(self, messages: tuple[Message, ...]) -> Prompt:
        """The prompt.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the part.
        """
        for number, message in enumerate(messages):
            path = f"input.messages[{number}].parts"
            for index, part in enumerate(message.parts):
                self._write(part, message.role, f"{path}[{index}]")
        if not self._turns:
            raise invalid("input.messages", "say something: all of it is blank, or the system's")
        return Prompt(self._system, [turn.message() for turn in self._turns])

    def _write(self, part: Part, role: Role, field: str) -> None:
        is_marked = part.cache_breakpoint
        match part:
            case TextPart() if role is not Role.TOOL:
                block = _text(part)
            case ToolCallPart() if role is Role.ASSISTANT:
                block = _tool_use(part, field)
            case ReasoningPart() if role is Role.ASSISTANT:
                block = self._thinking(part, field)
                # Thinking has no place for a mark.
                is_marked = False
            case MediaPart() if role is Role.USER:
                block = _media(part, field)
            case ToolResultPart() if role is Role.TOOL:
                block = _tool_result(part, field)
                is_marked = is_marked or any(inner.cache_breakpoint for inner in part.parts)
            case _:
                raise misplaced(field, part, role)
        if block is None:
            return
        if is_marked:
            self._mark(block, field)
        if role is Role.SYSTEM:
            self._system.append(block)
        else:
            self._append(_ROLES[role], block)

    def _append(self, role: str, block: Json) -> None:
        if not self._turns or self._turns[-1].role != role:
            self._turns.append(_Turn(role))
        self._turns[-1].append(block)

    def _mark(self, block: Json, field: str) -> None:
        self._breakpoints += 1
        if self._breakpoints > MAX_BREAKPOINTS:
            raise invalid(
                f"{field}.cache_breakpoint",
                f"{self._provider} takes at most {MAX_BREAKPOINTS} of them; leave this one out",
            )
        block["cache_control"] = {"type": "ephemeral"}

    def _thinking(self, part: ReasoningPart, field: str) -> Json | None:
        if not part.signature or part.signature_provider != self._provider:
            # Unsigned, or signed by another provider: it would be refused.
            return None
        try:
            return thinking_block(part)
        except ValueError:
            raise invalid(
                f"{field}.reasoning.signature", f"is none that {self._provider} gave"
            ) from None


def _is(message: Json, *block_types: str) -> bool:
    """Whether a message begins with such a block."""
    return message["content"][0]["type"] in block_types


class _Turn:
    """Consecutive messages of one role."""

    def __init__(self, role: str) -> None:
        self.role = role
        self._results: list[Json] = []
        self._others: list[Json] = []

    def append(self, block: Json) -> None:
        blocks = self._results if block["type"] == "tool_result" else self._others
        blocks.append(block)

    def message(self) -> Json:
        return {"role": self.role, "content": self._results + self._others}


def _text(part: TextPart) -> Json | None:
    return {"type": "text", "text": part.text} if part.text.strip() else None


def _tool_use(part: ToolCallPart, field: str) -> Json:
    arguments = (part.arguments_json or "{}").encode()
    try:
        _ARGUMENTS.decode(arguments)
    except (ValueError, RecursionError):
        raise invalid(f"{field}.tool_call.arguments_json", "write a JSON object") from None
    # Raw: decoding and encoding could change the model's own numbers and their order.
    return {
        "type": "tool_use",
        "id": _call_id(part.tool_call_id),
        "name": part.name,
        "input": msgspec.Raw(arguments),
    }


def _tool_result(part: ToolResultPart, field: str) -> Json:
    result: Json = {"type": "tool_result", "tool_use_id": _call_id(part.tool_call_id)}
    content = [
        _text(inner)
        if isinstance(inner, TextPart)
        else _media(inner, f"{field}.tool_result.parts[{number}]")
        for number, inner in enumerate(part.parts)
    ]
    if any(content):
        result["content"] = [block for block in content if block is not None]
    if part.is_error:
        result["is_error"] = True
    return result


def _call_id(tool_call_id: str) -> str:
    """An id as the API takes it: a call that another provider made may have others."""
    return _NOT_IN_ID.sub("_", tool_call_id)


def _media(part: MediaPart, field: str) -> Json:
    field = f"{field}.media"
    is_image = part.mime_type.startswith("image/") or (not part.mime_type and part.uri is not None)
    if not is_image and part.mime_type != _PDF:
        raise unsupported(
            f"{field}.mime_type", "media", f"{part.mime_type!r} cannot be sent; images and PDF can"
        )
    source: Json
    if part.data is not None:
        data = b64encode(part.data).decode("ascii")
        source = {"type": "base64", "media_type": part.mime_type, "data": data}
    elif part.uri is not None and part.uri.startswith(("https://", "http://")):
        source = {"type": "url", "url": part.uri}
    elif part.uri is not None and part.uri.startswith("file_"):
        source = {"type": "file", "file_id": part.uri}
    else:
        raise invalid(
            f"{field}.uri", "give an https URL that the provider can fetch, a file id or the bytes"
        )
    return {"type": "image" if is_image else "document", "source": source}
