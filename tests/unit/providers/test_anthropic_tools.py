"""Tools, the choice of them, and answers of a given form with their help or without."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import ProviderEvent, TextDelta, ToolCallDelta
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.providers.anthropic import Anthropic, AnthropicOptions
from llmgateway_server.providers.anthropic.stream import decode_body
from llmgateway_server.providers.request_writing import RESPONSE_TOOL
from support.message_stream import answered, call_block, message_end

SCHEMA = '{"type": "object", "properties": {"n": {"maximum": 1.0e2}}}'
AS_SCHEMA = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=SCHEMA)
AS_OBJECT = Output(response_format=ResponseFormat.JSON_OBJECT)
NO_SCHEMA = Capabilities(json_schema=False)
NOW = Tool("now", "The time", SCHEMA)
NOTHING = Output()
ANY = ToolChoice()


def raw(
    output: Output = NOTHING,
    tools: tuple[Tool, ...] = (NOW,),
    choice: ToolChoice = ANY,
    capabilities: Capabilities = NO_SCHEMA,
) -> bytes:
    request = GenerationRequest(
        "", (Message(Role.USER, (TextPart("Hi"),)),), output=output, tools=tools, tool_choice=choice
    )
    dialect = Anthropic("claude", "https://api.anthropic.com/v1", AnthropicOptions())
    return dialect.build(request, "m", capabilities, stream=True).body


def body(*args: Any, **named: Any) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(raw(*args, **named))
    return written


def rejected(*args: Any, **named: Any) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        raw(*args, **named)
    return raised.value


def test_a_tool_has_its_schema_as_it_was_written() -> None:
    assert SCHEMA.encode() in raw()
    assert body()["tools"] == [
        {"name": "now", "description": "The time", "input_schema": json.loads(SCHEMA)}
    ]


def test_a_tool_without_arguments_takes_an_empty_object() -> None:
    written = body(tools=(Tool("now"),))
    assert written["tools"] == [
        {"name": "now", "input_schema": {"type": "object", "properties": {}}}
    ]


def test_a_schema_that_is_none_is_refused() -> None:
    error = rejected(tools=(Tool("now", parameters_schema_json="[]"),))
    assert error.violations[0].field == "input.tools[0].parameters_schema_json"


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(), None),
        (ToolChoice(ToolMode.AUTO), {"type": "auto"}),
        (ToolChoice(ToolMode.NONE), {"type": "none"}),
        (ToolChoice(ToolMode.NONE, parallel_tool_calls=False), {"type": "none"}),
        (ToolChoice(ToolMode.REQUIRED), {"type": "any"}),
        (ToolChoice(tool_name="now"), {"type": "tool", "name": "now"}),
        (
            ToolChoice(parallel_tool_calls=False),
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        (
            ToolChoice(ToolMode.REQUIRED, parallel_tool_calls=True),
            {"type": "any", "disable_parallel_tool_use": False},
        ),
        (
            ToolChoice(tool_name="now", parallel_tool_calls=False),
            {"type": "tool", "name": "now", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice, written: dict[str, Any] | None) -> None:
    assert body(choice=choice).get("tool_choice") == written


@pytest.mark.parametrize("mode", [None, ToolMode.AUTO, ToolMode.NONE])
def test_there_is_no_choice_where_there_are_no_tools(mode: ToolMode | None) -> None:
    written = body(tools=(), choice=ToolChoice(mode, parallel_tool_calls=False))
    assert "tools" not in written
    assert "tool_choice" not in written


@pytest.mark.parametrize("capabilities", [Capabilities(), Capabilities(json_schema=True)])
def test_a_schema_is_the_models_own_affair_where_it_can(capabilities: Capabilities) -> None:
    written = body(AS_SCHEMA, capabilities=capabilities)
    assert written["output_config"]["format"] == {
        "type": "json_schema",
        "schema": json.loads(SCHEMA),
    }
    assert [tool["name"] for tool in written["tools"]] == ["now"]
    assert SCHEMA.encode() in raw(AS_SCHEMA, tools=(), capabilities=capabilities)


def test_effort_and_schema_go_together() -> None:
    output = Output(
        reasoning_effort=ReasoningEffort.HIGH,
        response_format=ResponseFormat.JSON_SCHEMA,
        response_schema_json="{}",
    )
    config = body(output, capabilities=Capabilities())["output_config"]
    assert config == {"effort": "high", "format": {"type": "json_schema", "schema": {}}}


@pytest.mark.parametrize(
    ("output", "schema"),
    [
        (AS_SCHEMA, json.loads(SCHEMA)),
        (AS_OBJECT, {"type": "object", "additionalProperties": True}),
    ],
)
def test_a_form_that_the_model_has_no_word_for_is_a_tool(
    output: Output, schema: dict[str, Any]
) -> None:
    written = body(output, tools=())
    assert "output_config" not in written
    (tool,) = written["tools"]
    assert (tool["name"], tool["input_schema"]) == (RESPONSE_TOOL, schema)
    assert written["tool_choice"] == {
        "type": "tool",
        "name": RESPONSE_TOOL,
        "disable_parallel_tool_use": True,
    }


def test_an_object_of_any_form_is_a_tool_for_every_model() -> None:
    assert body(AS_OBJECT, tools=(), capabilities=Capabilities(json_schema=True))["tools"]


def test_the_model_may_call_instead_of_answering() -> None:
    written = body(AS_SCHEMA)
    assert [tool["name"] for tool in written["tools"]] == ["now", RESPONSE_TOOL]
    assert written["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


def test_the_model_may_only_answer_where_no_tool_may_be_called() -> None:
    written = body(AS_SCHEMA, choice=ToolChoice(ToolMode.NONE))
    assert [tool["name"] for tool in written["tools"]] == ["now", RESPONSE_TOOL]
    assert written["tool_choice"]["name"] == RESPONSE_TOOL


@pytest.mark.parametrize("choice", [ToolChoice(ToolMode.REQUIRED), ToolChoice(tool_name="now")])
def test_a_call_that_has_to_be_made_leaves_no_answer_to_form(choice: ToolChoice) -> None:
    assert [tool["name"] for tool in body(AS_SCHEMA, choice=choice)["tools"]] == ["now"]


@pytest.mark.parametrize(
    ("output", "capability"), [(AS_SCHEMA, "json_schema"), (AS_OBJECT, "json_object")]
)
def test_what_cannot_be_forced_is_refused(output: Output, capability: str) -> None:
    unforced = Capabilities(json_schema=False, forced_tool_choice=False)
    thinking = Output(
        reasoning_effort=ReasoningEffort.LOW,
        response_format=output.response_format,
        response_schema_json=output.response_schema_json,
    )
    for error in (rejected(output, capabilities=unforced), rejected(thinking)):
        assert error.reason is Reason.CAPABILITY_UNSUPPORTED
        assert dict(error.metadata)["capability"] == capability


def test_the_gateways_own_tool_is_nobody_elses() -> None:
    error = rejected(tools=(NOW, Tool(RESPONSE_TOOL)))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.tools[1].name"


def by_tool(*pieces: str, word: str = "tool_use") -> list[ProviderEvent]:
    return answered(*call_block(0, "toolu_1", RESPONSE_TOOL, *pieces), *message_end(word))


def test_a_call_of_the_gateways_own_tool_is_the_answers_text() -> None:
    assert by_tool("", '{"n":', " 1}") == [
        TextDelta(0, '{"n": 1}'),
        Finish(FinishReason.STOP, "tool_use"),
    ]


def test_an_answer_without_content_is_an_empty_object() -> None:
    assert by_tool("") == [TextDelta(0, "{}"), Finish(FinishReason.STOP, "tool_use")]


def test_an_answer_that_was_cut_says_so() -> None:
    assert by_tool('{"n":', word="max_tokens") == [
        TextDelta(0, '{"n":'),
        Finish(FinishReason.LENGTH, "max_tokens"),
    ]


def test_a_call_beside_the_answer_is_still_a_call() -> None:
    events = answered(
        *call_block(0, "toolu_1", RESPONSE_TOOL, "{}"),
        *call_block(1, "toolu_2", "now"),
        *message_end("tool_use"),
    )
    assert events == [
        TextDelta(0, "{}"),
        ToolCallDelta(1, "toolu_2", "now"),
        ToolCallDelta(1, arguments_json="{}"),
        Finish(FinishReason.TOOL_CALLS, "tool_use"),
    ]


def test_a_whole_answer_by_tool_is_text_too() -> None:
    content = [{"type": "tool_use", "id": "toolu_1", "name": RESPONSE_TOOL, "input": {"n": 1}}]
    answer = {"type": "message", "content": content, "stop_reason": "tool_use"}
    assert decode_body(json.dumps(answer).encode()) == [
        TextDelta(0, '{"n": 1}'),
        Finish(FinishReason.STOP, "tool_use"),
    ]
