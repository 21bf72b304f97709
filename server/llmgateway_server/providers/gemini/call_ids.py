"""Ids of function calls, most of which Google leaves out.

Callers need one for every call, unique in a conversation, and Google wants back only those that
it gave: Vertex refuses any id (https://github.com/googleapis/java-genai/issues/694). So ours can
be told by their prefix.
"""

from __future__ import annotations

from typing import Final

_OURS: Final = "gemini_"
# Calls of OpenAI's and Anthropic's models, in a conversation that began there.
_NOT_GOOGLES: Final = (_OURS, "call_", "toolu_")
# Of an answer's id; it is 23 characters long.
_MAX_ANSWER_ID: Final = 64


def made_call_id(answer_id: str, number: int) -> str:
    """An id for the call of this number in an answer.

    Made from the answer's own id, which is unique, so that the same bytes give the same id.
    """
    return f"{_OURS}{answer_id[:_MAX_ANSWER_ID]}_{number}"


def googles_call_id(call_id: str) -> str:
    """The id as Google gave it; empty where it gave none."""
    return "" if call_id.startswith(_NOT_GOOGLES) else call_id
