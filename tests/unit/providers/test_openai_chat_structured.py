"""Answers of a JSON Schema from models that have no word for one."""

import json

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import (
    Output,
    ResponseFormat,
    Tool,
)
from support.chat_request import ASK, body

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}}}'
STRUCTURED = replace(
    ASK, output=Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=SCHEMA)
)
NO_SCHEMA = Capabilities(json_schema=False)


def test_a_model_without_schemas_is_made_to_call_a_tool_with_one() -> None:
    sent = body(STRUCTURED, capabilities=NO_SCHEMA)
    (tool,) = sent["tools"]
    assert tool["function"]["name"] == "llmgateway_response"
    assert tool["function"]["parameters"] == json.loads(SCHEMA)
    assert sent["tool_choice"] == {"type": "function", "function": {"name": "llmgateway_response"}}
    assert "response_format" not in sent


def test_the_callers_tools_may_be_called_instead_of_answering() -> None:
    sent = body(replace(STRUCTURED, tools=(Tool("look"),)), capabilities=NO_SCHEMA)
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["look", "llmgateway_response"]
    assert sent["tool_choice"] == "required"


def test_a_model_that_cannot_be_held_to_a_schema_at_all_refuses_it() -> None:
    cannot = Capabilities(json_schema=False, forced_tool_choice=False)
    with pytest.raises(GatewayError) as raised:
        body(STRUCTURED, capabilities=cannot)
    assert raised.value.reason is Reason.CAPABILITY_UNSUPPORTED


def test_the_name_of_the_gateways_own_tool_is_taken() -> None:
    with pytest.raises(GatewayError, match="choose another"):
        body(replace(ASK, tools=(Tool("llmgateway_response"),)))
