"""The state of a reasoning model between two turns, which the caller keeps for it.

The gateway stores nothing, and has OpenAI store nothing: it asks for the reasoning encrypted, gives
it to the caller as a reasoning part's signature, and sends it back with the next turn
(https://platform.openai.com/docs/guides/reasoning, "Encrypted reasoning items").
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from llmgateway_server.domain.content import ReasoningPart
from llmgateway_server.providers.request_writing import Json, said


class _Signature(Struct, frozen=True):
    """What a signature holds, as JSON; `type` says whose it is."""

    encrypted_content: Annotated[str, Meta(min_length=1)]
    id: str | None = None
    type: Literal["openai_responses.reasoning"] = "openai_responses.reasoning"


_SIGNATURE = msgspec.json.Decoder(_Signature)


def signature_of(item_id: str, encrypted_content: str) -> bytes:
    """The signature of a finished reasoning item."""
    return msgspec.json.encode(_Signature(encrypted_content, item_id or None))


def reasoning_item(part: ReasoningPart) -> Json | None:
    """The input item that gives a model its reasoning back; None where the signature holds none.

    Nothing but reasoning can come out of it, whoever made the signature: an item that is only
    named, for one, would be looked up among all that the account ever stored.
    """
    try:
        signature = _SIGNATURE.decode(part.signature)
    except (ValueError, RecursionError):
        # Another dialect's, from when the provider of this name spoke that.
        return None
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    return said(
        {
            "type": "reasoning",
            "id": signature.id,
            "summary": summary,
            "encrypted_content": signature.encrypted_content,
        }
    )
