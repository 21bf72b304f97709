"""Why the model stopped.

Source: https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons.
"""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import Finish, FinishReason

_REASONS: Final = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "refusal": FinishReason.REFUSAL,
}


def finish(word: str, stop_sequence: str, *, has_calls: bool, answered_by_tool: bool) -> Finish:
    """The finish behind the server's word; empty where it gave none.

    What the contract has no word for is OTHER: `pause_turn`, where a server tool wants the
    conversation sent back as it is, among them. An answer given by the gateway's own tool is no
    call, whatever the server says; and where a call was made, it is one.
    """
    reason = _REASONS.get(word, FinishReason.OTHER)
    if reason is FinishReason.TOOL_CALLS and answered_by_tool and not has_calls:
        reason = FinishReason.STOP
    elif reason is FinishReason.STOP and has_calls:
        reason = FinishReason.TOOL_CALLS
    return Finish(reason, word, stop_sequence if word == "stop_sequence" else "")
