"""Why the model stopped, in the words of the servers that speak this dialect."""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.answer import FinishReason
from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure

_REASONS: Final = {
    "stop": FinishReason.STOP,
    "eos": FinishReason.STOP,  # Together
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,  # Mistral
    "tool_calls": FinishReason.TOOL_CALLS,
    "tool_use": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,  # OpenAI's legacy functions
    "content_filter": FinishReason.CONTENT_FILTER,
    "sensitive": FinishReason.CONTENT_FILTER,  # Z.ai
    "refusal": FinishReason.REFUSAL,
}

# Reasons that say that the answer was broken off by the server's own trouble.
_FAILURES: Final = {
    "error": Reason.PROVIDER_ERROR,  # OpenRouter
    "network_error": Reason.PROVIDER_ERROR,  # Z.ai
    "abort": Reason.PROVIDER_ERROR,  # vLLM, SGLang
    "insufficient_system_resource": Reason.PROVIDER_OVERLOADED,  # DeepSeek
}


def finish_reason(word: str, *, has_tool_calls: bool, is_refusal: bool) -> FinishReason:
    """The reason behind the server's word; empty where it gave none.

    A forced tool ends with "stop" at OpenAI, and so does a refusal: what was said decides.
    """
    reason = _REASONS.get(word, FinishReason.OTHER)
    if reason is FinishReason.STOP:
        if has_tool_calls:
            return FinishReason.TOOL_CALLS
        if is_refusal:
            return FinishReason.REFUSAL
    return reason


def finish_failure(word: str) -> Failure | None:
    """The failure that a finish reason stands for, if it stands for one."""
    reason = _FAILURES.get(word)
    if reason is None:
        return None
    return Failure(reason, f"it broke off the answer with {word!r}", code=word)
