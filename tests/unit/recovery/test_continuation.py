"""Asking a model to go on from a partial answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, ReasoningPart, Role, TextPart
from llmgateway_server.domain.events import ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.recovery.continuation import can_continue, continuation
from llmgateway_server.recovery.delivered import MOST_CHARACTERS, Delivered

USER = Message(Role.USER, (TextPart("hi"),))
ASK = GenerationRequest("m", (USER,))
PREFILL = Capabilities(prefill=True)


def delivered(*events: StreamEvent) -> Delivered:
    given_so_far = Delivered()
    given_so_far.add(events)
    return given_so_far


HELLO = delivered(TextDelta(0, "Hello"))


def test_plain_text_can_be_continued_where_prefill_is_known_to_be_accepted() -> None:
    assert can_continue(ASK, HELLO, PREFILL)


@pytest.mark.parametrize("prefill", [None, False])
def test_a_model_that_may_refuse_prefill_is_not_asked(prefill: bool | None) -> None:
    assert not can_continue(ASK, HELLO, Capabilities(prefill=prefill))


@pytest.mark.parametrize(
    "partial",
    [
        delivered(),
        delivered(TextDelta(0, " \n\t")),
        delivered(TextDelta(0, "Hello"), TextDelta(1, "there")),
        delivered(TextDelta(1, "Hello")),
        delivered(TextDelta(0, "Hello"), ToolCallDelta(1, "id", "f")),
        delivered(ReasoningDelta(0, "hm"), TextDelta(1, "Hello")),
        delivered(TextDelta(0, "x" * (MOST_CHARACTERS + 1))),
    ],
    ids=["nothing", "white space", "two parts", "not the first", "tool call", "reasoning", "long"],
)
def test_only_known_text_of_one_part_is_continued(partial: Delivered) -> None:
    assert not can_continue(ASK, partial, PREFILL)


@pytest.mark.parametrize(
    ("request_", "may"),
    [
        (replace(ASK, output=Output(response_format=ResponseFormat.TEXT)), True),
        (replace(ASK, output=Output(response_format=ResponseFormat.JSON_OBJECT)), False),
        (replace(ASK, output=Output(response_format=ResponseFormat.JSON_SCHEMA)), False),
        (replace(ASK, output=Output(reasoning_effort=ReasoningEffort.NONE)), True),
        (replace(ASK, output=Output(reasoning_effort=ReasoningEffort.LOW)), False),
        (replace(ASK, tools=(Tool("f"),)), True),
        (replace(ASK, tool_choice=ToolChoice(ToolMode.AUTO)), True),
        (replace(ASK, tool_choice=ToolChoice(ToolMode.NONE)), True),
        (replace(ASK, tool_choice=ToolChoice(ToolMode.REQUIRED)), False),
        (replace(ASK, tool_choice=ToolChoice(tool_name="f")), False),
    ],
)
def test_what_must_come_whole_is_not_continued(request_: GenerationRequest, may: bool) -> None:
    assert can_continue(request_, HELLO, PREFILL) is may


@pytest.mark.parametrize(
    ("asked", "default", "may"),
    [
        (None, ReasoningEffort.MEDIUM, False),
        (ReasoningEffort.NONE, ReasoningEffort.MEDIUM, True),
        (None, ReasoningEffort.NONE, True),
    ],
)
def test_a_model_that_reasons_by_itself_is_not_asked(
    asked: ReasoningEffort | None, default: ReasoningEffort, may: bool
) -> None:
    model = Capabilities(prefill=True, default_effort=default)
    request = replace(ASK, output=Output(reasoning_effort=asked))
    assert can_continue(request, HELLO, model) is may


def test_the_partial_answer_becomes_the_last_message_without_white_space_at_its_end() -> None:
    asked = continuation(ASK, "Hello \n").request
    assert asked == replace(ASK, messages=(USER, Message(Role.ASSISTANT, (TextPart("Hello"),))))


def test_the_callers_own_prefill_grows() -> None:
    own = Message(Role.ASSISTANT, (TextPart("{"),))
    asked = continuation(replace(ASK, messages=(USER, own)), '"a": ').request
    assert asked.messages == (USER, Message(Role.ASSISTANT, (TextPart('{"a":'),)))


@pytest.mark.parametrize(
    "parts", [(), (ReasoningPart("hm", b"sig", "p"),), (TextPart("{", cache_breakpoint=True),)]
)
def test_parts_of_the_callers_prefill_that_are_not_open_text_stay_as_they_are(
    parts: tuple[TextPart | ReasoningPart, ...],
) -> None:
    own = Message(Role.ASSISTANT, parts)
    asked = continuation(replace(ASK, messages=(USER, own)), "more ").request
    assert asked.messages == (USER, Message(Role.ASSISTANT, (*parts, TextPart("more"))))


@pytest.mark.parametrize(
    ("limit", "text", "left"),
    [
        (None, "x" * 400, None),
        (1000, "x" * 400, 900),
        (1000, "é" * 400, 800),
        (1000, "abc", 1000),
        (100, "x" * 400, 1),
        (100, "x" * 4000, 1),
        (1, "x", 1),
    ],
)
def test_the_output_limit_is_less_by_what_was_delivered(
    limit: int | None, text: str, left: int | None
) -> None:
    request = replace(ASK, output=Output(max_output_tokens=limit, stop_sequences=("END",)))
    assert continuation(request, text).request.output == replace(
        request.output, max_output_tokens=left
    )


@given(
    st.text("ab \n\xa0é\ud800", min_size=1).filter(str.strip),
    st.none() | st.integers(1, 20),
    st.booleans(),
)
def test_nothing_else_of_the_request_changes(text: str, limit: int | None, begun: bool) -> None:
    messages = (USER, Message(Role.ASSISTANT, (TextPart("pre"),))) if begun else (USER,)
    request = GenerationRequest("m", messages, output=Output(max_output_tokens=limit))
    asked = continuation(request, text).request
    assert replace(asked, messages=messages, output=request.output) == request
    assert asked.messages[:1] == (USER,)
    ((last, part),) = [(m, p) for m in asked.messages[1:] for p in m.parts]
    assert last.role is Role.ASSISTANT
    assert isinstance(part, TextPart)
    assert part.text == ("pre" if begun else "") + text.rstrip()
    left = asked.output.max_output_tokens
    assert (left is None) == (limit is None)
    if left is not None and limit is not None:
        assert 1 <= left <= limit
