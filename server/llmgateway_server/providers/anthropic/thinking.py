"""How much to think, in the words that the model's generation understands.

Claude before 4.6 takes a budget of tokens; newer models refuse a budget, decide by themselves and
take an effort. An unknown model is spoken to like a new one: it is a Claude that the gateway's
table does not have yet, or another vendor's model, whose servers ignore what they do not know.
Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking,
https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking.
"""

from __future__ import annotations

from typing import Final

from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
from llmgateway_server.domain.request import Output, ReasoningEffort
from llmgateway_server.providers.request_writing import Json, invalid

MIN_BUDGET: Final = 1024

# Of the output limit, in which the budget is included; the rest is left to the answer.
_SHARES: Final = {
    ReasoningEffort.MINIMAL: 0.1,
    ReasoningEffort.LOW: 0.2,
    ReasoningEffort.MEDIUM: 0.5,
    ReasoningEffort.HIGH: 0.8,
    ReasoningEffort.XHIGH: 0.95,
    ReasoningEffort.MAX: 0.95,
}
_DISABLED: Final[Json] = {"type": "disabled"}


def thinks(output: Output) -> bool:
    """Whether the caller asks for thinking."""
    return output.reasoning_effort not in {None, ReasoningEffort.NONE}


def thinking(output: Output, capabilities: Capabilities, max_tokens: int) -> Json | None:
    """The field `thinking`; None where the model's own choice is wanted.

    Raises:
        GatewayError: REQUEST_INVALID, the output limit has no room for thinking.
    """
    effort = output.reasoning_effort
    if effort is None:
        return None
    if effort is ReasoningEffort.NONE:
        return None if capabilities.reasoning is False else _DISABLED
    if capabilities.thinking is ThinkingStyle.BUDGET:
        return {"type": "enabled", "budget_tokens": _budget(effort, max_tokens)}
    field: Json = {"type": "adaptive"}
    if output.include_reasoning:
        # Left to itself, Claude since 4.7 shows none of it.
        field["display"] = "summarized"
    return field


def effort_word(output: Output, capabilities: Capabilities) -> str | None:
    """`output_config.effort`; None where the caller or the model has no use for it."""
    effort = output.reasoning_effort
    if effort is None or not thinks(output) or capabilities.thinking is ThinkingStyle.BUDGET:
        return None
    # There is no lower one.
    return "low" if effort is ReasoningEffort.MINIMAL else effort.value


def _budget(effort: ReasoningEffort, max_tokens: int) -> int:
    if max_tokens <= MIN_BUDGET:
        raise invalid(
            "input.output.max_output_tokens",
            f"this model thinks with {MIN_BUDGET} tokens or more of these: allow more, or ask for "
            "no reasoning effort",
        )
    return max(int(max_tokens * _SHARES[effort]), MIN_BUDGET)
