"""A thinking block as the opaque signature of a reasoning part, and back.

The contract has one kind of reasoning part, Anthropic two kinds of block that must come back
unchanged: `thinking` (text and a signature) and `redacted_thinking` (encrypted data, no text). The
signature's bytes therefore begin with the type of their block and a colon:

    thinking:<signature>
    redacted_thinking:<data>

What begins with neither is the signature of a thinking block as Anthropic gave it: a conversation
may have begun without the gateway. (Anthropic's are base64, which has no colon.)
Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking.
"""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.content import ReasoningPart
from llmgateway_server.providers.request_writing import Json

THINKING: Final = "thinking"
REDACTED: Final = "redacted_thinking"


def sealed(block_type: str, value: str) -> bytes:
    """The signature for a block of this type with this signature or data."""
    return f"{block_type}:{value}".encode()


def thinking_block(part: ReasoningPart) -> Json:
    """The block that a signed part was.

    Raises:
        ValueError: the signature is none that Anthropic gave.
    """
    signature = part.signature.decode()
    block_type, colon, value = signature.partition(":")
    if colon and block_type == REDACTED:
        return {"type": REDACTED, "data": value}
    if not colon or block_type != THINKING:
        value = signature
    return {"type": THINKING, "thinking": part.text, "signature": value}
