"""How much to think, on the wire of each generation of models."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
from llmgateway_server.domain.content import (
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Output, ReasoningEffort
from llmgateway_server.providers.anthropic import Anthropic, AnthropicOptions

BUDGET = Capabilities(thinking=ThinkingStyle.BUDGET)
ADAPTIVE = Capabilities(thinking=ThinkingStyle.ADAPTIVE)
ASK = Message(Role.USER, (TextPart("Hi"),))
CALL = ToolCallPart("toolu_1", "now", "{}")
RESULT = Message(Role.TOOL, (ToolResultPart("toolu_1", (TextPart("noon"),)),))
THOUGHT = ReasoningPart("Look.", b"thinking:c2ln", "claude")


def body(
    output: Output, capabilities: Capabilities = ADAPTIVE, messages: tuple[Message, ...] = (ASK,)
) -> dict[str, Any]:
    request = GenerationRequest("", messages, output=output)
    dialect = Anthropic("claude", "https://api.anthropic.com/v1", AnthropicOptions())
    written: dict[str, Any] = json.loads(
        dialect.build(request, "m", capabilities, stream=False).body
    )
    return written


@pytest.mark.parametrize("capabilities", [BUDGET, ADAPTIVE, Capabilities()])
def test_the_models_own_choice_is_left_to_it(capabilities: Capabilities) -> None:
    written = body(Output(), capabilities)
    assert "thinking" not in written
    assert "output_config" not in written


@pytest.mark.parametrize("capabilities", [BUDGET, ADAPTIVE, Capabilities()])
def test_no_effort_turns_thinking_off(capabilities: Capabilities) -> None:
    written = body(Output(reasoning_effort=ReasoningEffort.NONE), capabilities)
    assert written["thinking"] == {"type": "disabled"}
    assert "output_config" not in written


def test_a_model_that_cannot_think_is_not_told_not_to() -> None:
    output = Output(reasoning_effort=ReasoningEffort.NONE)
    assert "thinking" not in body(output, Capabilities(reasoning=False))


@pytest.mark.parametrize("capabilities", [ADAPTIVE, Capabilities()])
@pytest.mark.parametrize(
    ("effort", "word"),
    [
        (ReasoningEffort.MINIMAL, "low"),
        (ReasoningEffort.LOW, "low"),
        (ReasoningEffort.MEDIUM, "medium"),
        (ReasoningEffort.HIGH, "high"),
        (ReasoningEffort.XHIGH, "xhigh"),
        (ReasoningEffort.MAX, "max"),
    ],
)
def test_new_and_unknown_models_are_told_the_effort(
    effort: ReasoningEffort, word: str, capabilities: Capabilities
) -> None:
    written = body(Output(reasoning_effort=effort), capabilities)
    assert written["thinking"] == {"type": "adaptive"}
    assert written["output_config"] == {"effort": word}


def test_reasoning_that_is_to_be_shown_is_asked_for() -> None:
    written = body(Output(reasoning_effort=ReasoningEffort.LOW, include_reasoning=True))
    assert written["thinking"] == {"type": "adaptive", "display": "summarized"}


@pytest.mark.parametrize(
    ("effort", "budget"),
    [
        (ReasoningEffort.MINIMAL, 1024),
        (ReasoningEffort.LOW, 2000),
        (ReasoningEffort.MEDIUM, 5000),
        (ReasoningEffort.HIGH, 8000),
        (ReasoningEffort.XHIGH, 9500),
        (ReasoningEffort.MAX, 9500),
    ],
)
def test_older_models_are_given_a_share_of_the_limit(effort: ReasoningEffort, budget: int) -> None:
    written = body(Output(max_output_tokens=10_000, reasoning_effort=effort), BUDGET)
    assert written["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert "output_config" not in written


@pytest.mark.parametrize("effort", [e for e in ReasoningEffort if e is not ReasoningEffort.NONE])
@pytest.mark.parametrize("limit", [1025, 1100, 4096, 64_000])
def test_a_budget_is_within_what_the_api_takes(effort: ReasoningEffort, limit: int) -> None:
    written = body(Output(max_output_tokens=limit, reasoning_effort=effort), BUDGET)
    assert 1024 <= written["thinking"]["budget_tokens"] < limit


def test_a_limit_without_room_for_thinking_is_refused() -> None:
    output = Output(max_output_tokens=1024, reasoning_effort=ReasoningEffort.LOW)
    with pytest.raises(GatewayError) as raised:
        body(output, BUDGET)
    assert raised.value.reason is Reason.REQUEST_INVALID
    assert raised.value.violations[0].field == "input.output.max_output_tokens"
    assert body(output, ADAPTIVE)["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("loop", "thinks"),
    [
        ((Message(Role.ASSISTANT, (THOUGHT, CALL)), RESULT), True),
        ((Message(Role.ASSISTANT, (CALL,)), RESULT), False),
        ((Message(Role.ASSISTANT, (TextPart("So."), CALL)), RESULT), False),
        # Within one turn a model thinks once, before the first of its calls.
        (
            (
                Message(Role.ASSISTANT, (THOUGHT, CALL)),
                RESULT,
                Message(Role.ASSISTANT, (CALL,)),
                RESULT,
            ),
            True,
        ),
        # A turn that has ended asks for nothing.
        (
            (
                Message(Role.ASSISTANT, (CALL,)),
                RESULT,
                Message(Role.ASSISTANT, (TextPart("12"),)),
                ASK,
            ),
            True,
        ),
        ((RESULT,), True),
    ],
)
def test_a_budget_is_not_given_where_the_thinking_before_the_calls_is_missing(
    loop: tuple[Message, ...], thinks: bool
) -> None:
    output = Output(reasoning_effort=ReasoningEffort.HIGH)
    assert ("thinking" in body(output, BUDGET, (ASK, *loop))) is thinks
    assert "thinking" in body(output, ADAPTIVE, (ASK, *loop))
