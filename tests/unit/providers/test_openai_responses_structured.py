"""Answers of a JSON Schema in Responses from models that have no word for one."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import TextDelta, ToolCallDelta
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ResponseFormat,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.providers.openai_responses import OpenAIResponses, OpenAIResponsesOptions
from support.responses_stream import added, answered, arguments, call, completed, done

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}}}'
ASK = GenerationRequest(
    "",
    (Message(Role.USER, (TextPart("Hi"),)),),
    output=Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=SCHEMA),
)
NO_SCHEMA = Capabilities(json_schema=False)
ANSWER = "llmgateway_response"


def body(request: GenerationRequest, capabilities: Capabilities = NO_SCHEMA) -> dict[str, Any]:
    dialect = OpenAIResponses("up", "http://127.0.0.1:8080/v1", OpenAIResponsesOptions())
    written: dict[str, Any] = json.loads(
        dialect.build(request, "tiny", capabilities, stream=True).body
    )
    return written


def test_a_model_without_schemas_is_made_to_call_a_tool_with_one() -> None:
    sent = body(ASK)
    (tool,) = sent["tools"]
    assert (tool["name"], tool["parameters"]) == (ANSWER, json.loads(SCHEMA))
    assert sent["tool_choice"] == {"type": "function", "name": ANSWER}
    assert "text" not in sent


def test_a_model_with_schemas_is_not() -> None:
    sent = body(ASK, Capabilities())
    assert sent["text"]["format"]["schema"] == json.loads(SCHEMA)
    assert "tools" not in sent


def test_the_callers_tools_may_be_called_instead_of_answering() -> None:
    sent = body(replace(ASK, tools=(Tool("add"),)))
    assert [tool["name"] for tool in sent["tools"]] == ["add", ANSWER]
    assert sent["tool_choice"] == "required"


def test_a_call_that_has_to_be_made_leaves_no_answer_to_form() -> None:
    choice = ToolChoice(mode=ToolMode.REQUIRED)
    sent = body(replace(ASK, tools=(Tool("add"),), tool_choice=choice))
    assert [tool["name"] for tool in sent["tools"]] == ["add"]
    assert "text" not in sent


def test_a_model_that_cannot_be_held_to_a_schema_at_all_refuses_it() -> None:
    with pytest.raises(GatewayError) as raised:
        body(ASK, Capabilities(json_schema=False, forced_tool_choice=False))
    assert raised.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_the_name_of_the_gateways_own_tool_is_taken() -> None:
    with pytest.raises(GatewayError) as raised:
        body(replace(ASK, tools=(Tool(ANSWER),)))
    assert raised.value.violations[0].field == "input.tools[0].name"


@pytest.mark.parametrize(
    "payloads",
    [
        (added(call(ANSWER)), arguments('{"n":'), arguments("1}"), completed()),
        (done(call(ANSWER, '{"n":1}')), completed()),
        (arguments('{"n":1}'), done(call(ANSWER)), completed()),
        (completed(call(ANSWER, '{"n":1}')),),
        (completed(call(ANSWER, {"n": 1})),),
    ],
)
def test_a_call_of_the_gateways_own_tool_is_the_answers_text(payloads: tuple[Any, ...]) -> None:
    *texts, finish = answered(*payloads)
    assert json.loads("".join(e.text for e in texts if isinstance(e, TextDelta))) == {"n": 1}
    assert {e.part_index for e in texts if isinstance(e, TextDelta)} == {0}
    assert finish == Finish(FinishReason.STOP, "completed")


def test_a_call_beside_the_answer_is_still_a_call() -> None:
    *events, finish = answered(completed(call(ANSWER, "{}"), call("add", "{}", 2)))
    assert [type(event) for event in events] == [TextDelta, ToolCallDelta, ToolCallDelta]
    assert finish == Finish(FinishReason.TOOL_CALLS, "completed")
