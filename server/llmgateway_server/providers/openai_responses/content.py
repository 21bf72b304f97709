"""What is inside an output item that came whole; nothing in it is trusted to have a type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from llmgateway_server.providers.openai_responses.wire import Item

# Between two parts of a summary, each of which is paragraphs under a heading.
SECTION_BREAK = "\n\n"


def text_or_empty(value: Any) -> str:
    """The value, if it is a string."""
    return value if isinstance(value, str) else ""


def message_text(item: Item) -> tuple[str, bool]:
    """What a message says, and whether that is a refusal or holds one."""
    texts: list[str] = []
    is_refusal = False
    for block in _blocks(item.content):
        refusal = text_or_empty(block.get("refusal"))
        is_refusal = is_refusal or bool(refusal)
        texts.append(refusal or text_or_empty(block.get("text")))
    return "".join(texts), is_refusal


def reasoning_text(item: Item) -> str:
    """A reasoning item's summary, or else the reasoning itself, which open models show."""
    for blocks in (item.summary, item.content):
        texts = [text_or_empty(block.get("text")) for block in _blocks(blocks)]
        text = SECTION_BREAK.join(filter(None, texts))
        if text:
            return text
    return ""


def call_arguments(item: Item) -> str:
    """A call's arguments; some servers send them as an object instead of as JSON text.

    Raises:
        ValueError: they are no text.
    """
    data = bytes(item.arguments)
    if data == b"[]":
        # How servers in PHP write an empty object.
        return ""
    if data.startswith(b"{"):
        return data.decode()
    return text_or_empty(msgspec.json.decode(data)) if data else ""


def _blocks(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for block in value:
            if isinstance(block, dict):
                yield block
