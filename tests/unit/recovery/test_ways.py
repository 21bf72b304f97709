"""Which ways of recovery are tried, and in which order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.events import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    RecoveryMode,
    ResponseFormat,
    Sampling,
)
from llmgateway_server.recovery.delivered import MOST_CHARACTERS, Delivered
from llmgateway_server.recovery.ways import Way, ways

MESSAGES = (Message(Role.USER, (TextPart("hi"),)),)
SAMPLED = GenerationRequest("m", MESSAGES)
EXACT = GenerationRequest("m", MESSAGES, Sampling(temperature=0.0))
GPT = Target("openai", "gpt")
CLAUDE = Target("anthropic", "claude")
PREFILL = Capabilities(prefill=True)
UNKNOWN = Capabilities()
NONE, CONTINUE, RESTART = RecoveryMode.NONE, RecoveryMode.CONTINUE, RecoveryMode.RESTART


def delivered(*events: StreamEvent) -> Delivered:
    found = Delivered()
    found.add(events)
    return found


TEXT = delivered(TextDelta(0, "Hello"))
NOTHING = delivered()
BLANK = delivered(TextDelta(0, "\n"))
LONG = delivered(TextDelta(0, "x" * (MOST_CHARACTERS + 1)))
CALL = delivered(TextDelta(0, "Hello"), ToolCallDelta(1, "id", "f"))
REASONING = delivered(ReasoningDelta(0, "hm"))


@pytest.mark.parametrize(
    ("request_", "partial", "other", "capabilities", "found"),
    [
        (SAMPLED, TEXT, CLAUDE, PREFILL, (Way.CONTINUE,)),
        (SAMPLED, TEXT, CLAUDE, UNKNOWN, ()),
        (EXACT, TEXT, CLAUDE, PREFILL, (Way.CONTINUE, Way.SPLICE)),
        (EXACT, TEXT, CLAUDE, UNKNOWN, (Way.SPLICE,)),
        (SAMPLED, TEXT, GPT, PREFILL, (Way.CONTINUE, Way.SPLICE)),
        (SAMPLED, TEXT, GPT, UNKNOWN, (Way.SPLICE,)),
        (EXACT, BLANK, GPT, PREFILL, (Way.SPLICE,)),
        (EXACT, NOTHING, GPT, PREFILL, ()),
        (EXACT, LONG, GPT, PREFILL, ()),
        (EXACT, CALL, GPT, PREFILL, ()),
        (EXACT, REASONING, GPT, PREFILL, ()),
        (
            GenerationRequest(
                "m", MESSAGES, output=Output(response_format=ResponseFormat.JSON_OBJECT)
            ),
            TEXT,
            GPT,
            PREFILL,
            (Way.SPLICE,),
        ),
    ],
)
def test_by_example(
    request_: GenerationRequest,
    partial: Delivered,
    other: Target,
    capabilities: Capabilities,
    found: tuple[Way, ...],
) -> None:
    def tried(mode: RecoveryMode) -> tuple[Way, ...]:
        return ways(request_, mode, partial, failed=GPT, other=other, capabilities=capabilities)

    assert tried(NONE) == ()
    assert tried(CONTINUE) == found
    assert tried(RESTART) == (*found, Way.RESTART)


@given(
    st.sampled_from([SAMPLED, EXACT]),
    st.sampled_from([TEXT, BLANK, LONG, CALL, REASONING]),
    st.sampled_from([GPT, CLAUDE]),
    st.sampled_from([PREFILL, UNKNOWN]),
)
def test_each_mode_includes_the_ways_of_the_one_before(
    request_: GenerationRequest, partial: Delivered, other: Target, capabilities: Capabilities
) -> None:
    none, carry_on, restart = (
        ways(request_, mode, partial, failed=GPT, other=other, capabilities=capabilities)
        for mode in RecoveryMode
    )
    assert not none
    assert Way.RESTART not in carry_on
    assert restart == (*carry_on, Way.RESTART)
