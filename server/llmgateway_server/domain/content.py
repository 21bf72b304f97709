"""Messages and the parts that they are made of."""

from __future__ import annotations

import enum

from msgspec import Struct


class Role(enum.Enum):
    """Who a message speaks for."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class TextPart(Struct, frozen=True):
    """Plain text."""

    text: str
    cache_breakpoint: bool = False


class ReasoningPart(Struct, frozen=True):
    """A model's reasoning.

    `signature` is opaque state that only `signature_provider` understands: it is echoed to that
    provider and dropped for every other one.
    """

    text: str
    signature: bytes = b""
    signature_provider: str = ""
    cache_breakpoint: bool = False


class ToolCallPart(Struct, frozen=True):
    """A call that the model asks for; `arguments_json` is the JSON text as the model wrote it."""

    tool_call_id: str
    name: str
    arguments_json: str
    cache_breakpoint: bool = False


class MediaPart(Struct, frozen=True):
    """An image or other media: either its bytes or a URI that the provider fetches."""

    mime_type: str
    data: bytes | None = None
    uri: str | None = None
    cache_breakpoint: bool = False


class ToolResultPart(Struct, frozen=True):
    """What a tool answered to the call named by `tool_call_id`."""

    tool_call_id: str
    parts: tuple[TextPart | MediaPart, ...]
    is_error: bool = False
    cache_breakpoint: bool = False


Part = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | MediaPart


class Message(Struct, frozen=True):
    """One turn of the conversation."""

    role: Role
    parts: tuple[Part, ...]
