"""Thought signatures, as they travel through a conversation.

A signature comes on a part of the answer and has to go back on the same part, else models of the
third generation refuse the request. The domain knows signatures of reasoning only, so one that
came on a text or a call goes into a reasoning part of its own, directly before; its bytes tell
what it came on.

Source: https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import enum
from typing import Final

# Google's own word for a call that no model of its made, or whose signature was lost.
SKIP_VALIDATION: Final = "skip_thought_signature_validator"


class Carrier(enum.Enum):
    """What a signature came on."""

    THOUGHT = b"thought"
    TEXT = b"text"
    EMPTY_TEXT = b"empty"
    CALL = b"call"


def packed(carrier: Carrier, signature: str) -> bytes:
    """The signature with what it came on."""
    return b"%b:%b" % (carrier.value, signature.encode())


def unpacked(signature: bytes) -> tuple[Carrier, str] | None:
    """What `packed` was given; None where it was not us who packed it."""
    carrier, _, text = signature.partition(b":")
    try:
        return Carrier(carrier), text.decode("ascii")
    except ValueError:
        return None
