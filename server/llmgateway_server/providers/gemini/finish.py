"""Why the model stopped.

Source: https://ai.google.dev/api/generate-content#FinishReason, and the words that Google's own
SDK knows besides. What is not in the table is OTHER: the model's own mishaps
(MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL, ...) and what is still to come.
"""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import FinishReason

# The default of the enum: nothing is said.
UNSPECIFIED: Final = "FINISH_REASON_UNSPECIFIED"

_REASONS: Final = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    **dict.fromkeys(
        (
            *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER"),
            *("MODEL_ARMOR", "ESCALATION"),
        ),
        FinishReason.CONTENT_FILTER,
    ),
}


def finish_reason(word: str, *, has_tool_calls: bool) -> FinishReason:
    """The reason behind Google's word, which is STOP after function calls too."""
    reason = _REASONS.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP and has_tool_calls:
        return FinishReason.TOOL_CALLS
    return reason
