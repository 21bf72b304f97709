"""What a generation request becomes on the wire of Chat Completions."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.request import (
    Output,
    ReasoningEffort,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.providers.openai_chat import OpenAIChat, OpenAIChatOptions
from support.chat_request import ASK, LOCAL, body, messages, rejected

OPENAI = "https://api.openai.com/v1"
PNG = MediaPart("image/png", data=b"\x89PNG")
PNG_URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}


def test_a_bare_question_says_nothing_that_was_not_said() -> None:
    assert body(stream=False) == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_a_stream_asks_for_its_usage() -> None:
    written = body()
    assert written["stream"] is True
    assert written["stream_options"] == {"include_usage": True}


def test_a_server_that_refuses_stream_options_is_not_sent_any() -> None:
    assert "stream_options" not in body(include_usage=False)


def test_every_parameter_goes_by_its_name() -> None:
    request = replace(
        ASK,
        sampling=Sampling(
            temperature=0.7,
            top_p=0.9,
            frequency_penalty=-0.5,
            presence_penalty=0.25,
            top_k=40,
            seed=2**53 + 1,
        ),
        output=Output(
            max_output_tokens=64,
            stop_sequences=("END", "\n\n"),
            reasoning_effort=ReasoningEffort.XHIGH,
            response_format=ResponseFormat.JSON_OBJECT,
        ),
        end_user_id="user-7",
    )
    written = body(request, stream=False)
    del written["model"], written["messages"]
    assert written == {
        "temperature": 0.7,
        "top_p": 0.9,
        "frequency_penalty": -0.5,
        "presence_penalty": 0.25,
        "top_k": 40,
        "seed": 2**53 + 1,
        "max_tokens": 64,
        "stop": ["END", "\n\n"],
        "reasoning_effort": "xhigh",
        "response_format": {"type": "json_object"},
        "user": "user-7",
    }


def test_zero_is_said() -> None:
    written = body(replace(ASK, sampling=Sampling(temperature=0.0, seed=0)))
    assert (written["temperature"], written["seed"]) == (0.0, 0)


@pytest.mark.parametrize(
    ("base_url", "options", "field"),
    [
        (LOCAL, {}, "max_tokens"),
        (OPENAI, {}, "max_completion_tokens"),
        ("https://res.openai.azure.com/openai/v1", {}, "max_completion_tokens"),
        (LOCAL, {"max_tokens_field": "max_completion_tokens"}, "max_completion_tokens"),
        (OPENAI, {"max_tokens_field": "max_tokens"}, "max_tokens"),
        ("https://api.openai.com.evil.example/v1", {}, "max_tokens"),
    ],
)
def test_the_output_limit_has_the_name_that_the_server_knows(
    base_url: str, options: dict[str, Any], field: str
) -> None:
    written = body(replace(ASK, output=Output(max_output_tokens=5)), base_url=base_url, **options)
    limits = {name: value for name, value in written.items() if name.startswith("max_")}
    assert limits == {field: 5}


def test_openai_is_not_sent_a_top_k_that_it_has_no_word_for() -> None:
    error = rejected(replace(ASK, sampling=Sampling(top_k=1)), base_url=OPENAI)
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("field", "input.sampling.top_k") in error.metadata


def test_a_schema_is_sent_as_it_was_written() -> None:
    schema = '{"type":"object", "properties":{"n":{"const":12345678901234567890.10}}}'
    output = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=schema)
    call = OpenAIChat("up", LOCAL, OpenAIChatOptions()).build(
        replace(ASK, output=output), "tiny", Capabilities(), stream=True
    )
    assert schema.encode() in call.body
    sent = json.loads(call.body)["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["name"] == "response"
    assert sent["json_schema"]["strict"] is True


@pytest.mark.parametrize("schema", ["", "{", "[]", "7", '{"a":1} ,"stream":false', "[" * 5000])
def test_a_schema_that_is_no_object_is_refused(schema: str) -> None:
    output = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=schema)
    error = rejected(replace(ASK, output=output))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.output.response_schema_json"


def test_tools_are_functions() -> None:
    schema = '{"type":"object","properties":{"city":{"type":"string"}}}'
    written = body(replace(ASK, tools=(Tool("weather", "Tells it.", schema), Tool("now"))))
    assert written["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Tells it.",
                "parameters": json.loads(schema),
            },
        },
        {
            "type": "function",
            "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
        },
    ]


def test_a_broken_tool_schema_is_refused_by_its_place() -> None:
    error = rejected(replace(ASK, tools=(Tool("a"), Tool("b", parameters_schema_json="nope"))))
    assert error.violations[0].field == "input.tools[1].parameters_schema_json"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(), {}),
        (ToolChoice(mode=ToolMode.AUTO), {"tool_choice": "auto"}),
        (ToolChoice(mode=ToolMode.NONE), {"tool_choice": "none"}),
        (ToolChoice(mode=ToolMode.REQUIRED), {"tool_choice": "required"}),
        (
            ToolChoice(tool_name="now"),
            {"tool_choice": {"type": "function", "function": {"name": "now"}}},
        ),
        (ToolChoice(parallel_tool_calls=False), {"parallel_tool_calls": False}),
    ],
)
def test_the_tool_choice_is_said(choice: ToolChoice, expected: dict[str, Any]) -> None:
    written = body(replace(ASK, tools=(Tool("now"),), tool_choice=choice))
    chosen = {k: v for k, v in written.items() if k in {"tool_choice", "parallel_tool_calls"}}
    assert chosen == expected


@pytest.mark.parametrize("mode", [ToolMode.AUTO, ToolMode.NONE])
def test_there_is_no_choice_where_there_are_no_tools(mode: ToolMode) -> None:
    choice = ToolChoice(mode=mode, parallel_tool_calls=False)
    assert body(replace(ASK, tool_choice=choice)) == body(ASK)


def test_system_messages_have_the_role_that_the_server_knows() -> None:
    system = Message(Role.SYSTEM, (TextPart("Be brief."),))
    assert messages(system) == [{"role": "system", "content": "Be brief."}]
    assert messages(system, system_role="developer")[0]["role"] == "developer"


def test_one_text_is_a_string_and_several_are_parts() -> None:
    several = Message(Role.USER, (TextPart("a"), TextPart("b")))
    assert messages(several)[0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_images_go_as_data_or_as_their_url() -> None:
    uri = "https://example.com/cat.png"
    parts: tuple[Part, ...] = (TextPart("What?"), PNG, MediaPart("image/png", uri=uri))
    assert messages(Message(Role.USER, parts))[0]["content"] == [
        {"type": "text", "text": "What?"},
        PNG_URL,
        {"type": "image_url", "image_url": {"url": uri}},
    ]


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "gs://bucket/cat.png", ""])
def test_an_image_that_the_provider_cannot_fetch_is_refused(uri: str) -> None:
    error = rejected(
        replace(ASK, messages=(Message(Role.USER, (MediaPart("image/png", uri=uri),)),))
    )
    assert error.violations[0].field == "input.messages[0].parts[0].media.uri"


def test_media_other_than_images_are_beyond_this_dialect() -> None:
    audio = MediaPart("audio/wav", data=b"RIFF")
    error = rejected(replace(ASK, messages=(Message(Role.USER, (TextPart("?"), audio)),)))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("field", "input.messages[0].parts[1].media.mime_type") in error.metadata


def test_a_tool_conversation_keeps_ids_order_and_arguments() -> None:
    first = ToolCallPart("call_1", "add", '{"a": 1,  "b": 2}')
    second = ToolCallPart("call_2", "now", "")
    thought = ReasoningPart("Two tools.", b"sig", "claude")
    assert messages(
        Message(Role.USER, (TextPart("Go"),)),
        Message(Role.ASSISTANT, (thought, TextPart("Calling."), first, second)),
        Message(
            Role.TOOL,
            (
                ToolResultPart("call_1", (TextPart("3"),)),
                ToolResultPart("call_2", (TextPart("no clock"),), is_error=True),
            ),
        ),
    ) == [
        {"role": "user", "content": "Go"},
        {
            "role": "assistant",
            "content": "Calling.",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a": 1,  "b": 2}'},
                },
                {
                    "id": "call_2",
                    "type": "function",
                    "function": {"name": "now", "arguments": "{}"},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        {"role": "tool", "tool_call_id": "call_2", "content": "Error: no clock"},
    ]


def test_calls_without_text_have_null_content() -> None:
    call = Message(Role.ASSISTANT, (ToolCallPart("call_1", "now", "{}"),))
    assert messages(call)[0]["content"] is None


def test_an_assistant_that_only_thought_says_nothing() -> None:
    assert messages(Message(Role.ASSISTANT, (ReasoningPart("Hm."),))) == []


def test_images_in_results_follow_after_the_last_result() -> None:
    conversation = (
        Message(Role.TOOL, (ToolResultPart("call_1", (PNG,)),)),
        Message(Role.TOOL, (ToolResultPart("call_2", (TextPart("ok"), PNG)),)),
        Message(Role.USER, (TextPart("And?"),)),
    )
    sent = messages(*conversation)
    assert [message["role"] for message in sent] == ["tool", "tool", "user", "user"]
    assert sent[0]["content"]
    assert sent[1]["content"] == "ok"
    hoisted = sent[2]["content"]
    assert [part["type"] for part in hoisted] == ["text", "image_url", "text", "image_url"]
    assert "call_1" in hoisted[0]["text"]
    assert hoisted[1] == PNG_URL
    assert sent[3]["content"] == "And?"


def test_images_in_the_last_result_are_not_lost() -> None:
    sent = messages(Message(Role.TOOL, (ToolResultPart("call_1", (PNG,)),)))
    assert PNG_URL in sent[-1]["content"]


@pytest.mark.parametrize(
    ("role", "part"),
    [
        (Role.SYSTEM, PNG),
        (Role.SYSTEM, ToolCallPart("c", "n", "{}")),
        (Role.USER, ToolCallPart("c", "n", "{}")),
        (Role.USER, ToolResultPart("c", ())),
        (Role.USER, ReasoningPart("r")),
        (Role.ASSISTANT, PNG),
        (Role.ASSISTANT, ToolResultPart("c", ())),
        (Role.TOOL, TextPart("t")),
        (Role.TOOL, ToolCallPart("c", "n", "{}")),
    ],
)
def test_a_part_that_a_role_cannot_carry_is_named(role: Role, part: Part) -> None:
    error = rejected(replace(ASK, messages=(*ASK.messages, Message(role, (part,)))))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[1].parts[0]"
    assert role.name in error.message


def test_the_providers_own_options_are_merged_last_and_others_ignored() -> None:
    request = replace(
        ASK,
        sampling=Sampling(temperature=1.0),
        provider_options=(
            ("other", b'{"secret": 1}'),
            ("up", b'{"temperature": 0.5, "min_p": 0.05, "big": 12345678901234567890}'),
        ),
    )
    written = body(request)
    assert (written["temperature"], written["min_p"]) == (0.5, 0.05)
    assert written["big"] == 12345678901234567890
    assert "secret" not in written


@pytest.mark.parametrize("options", [b"", b"{", b"[]", b"null", b'"x"', b'{"a":' * 3000])
def test_options_that_are_no_object_are_refused(options: bytes) -> None:
    error = rejected(replace(ASK, provider_options=(("up", options),)))
    assert error.violations[0].field == "input.provider_options_json"


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n"])
def test_options_cannot_change_who_is_asked_or_how(name: str) -> None:
    options = json.dumps({name: 2}).encode()
    error = rejected(replace(ASK, provider_options=(("up", options),)))
    assert error.reason is Reason.REQUEST_INVALID
    assert name in error.violations[0].description


def test_azures_deployments_are_in_the_path() -> None:
    dialect = OpenAIChat(
        "az", "https://res.openai.azure.com/openai", OpenAIChatOptions(api_version="2024-10-21")
    )
    call = dialect.build(ASK, "my gpt/4", Capabilities(), stream=True)
    assert call.path == "/deployments/my%20gpt%2F4/chat/completions?api-version=2024-10-21"


@pytest.mark.parametrize(
    ("options", "key", "expected"),
    [
        ({}, "k", {"authorization": "Bearer k"}),
        ({}, "", {}),
        ({"auth": "api-key"}, "k", {"api-key": "k"}),
        (
            {"organization": "org-1", "project": "proj_2"},
            "k",
            {
                "authorization": "Bearer k",
                "openai-organization": "org-1",
                "openai-project": "proj_2",
            },
        ),
    ],
)
def test_the_key_goes_into_the_header_that_the_server_reads(
    options: dict[str, Any], key: str, expected: dict[str, str]
) -> None:
    dialect = OpenAIChat("up", LOCAL, OpenAIChatOptions(**options))
    assert dict(dialect.headers(key)) == expected


def test_the_models_own_name_of_the_output_limit_is_used_unless_configured() -> None:
    request = replace(ASK, output=Output(max_output_tokens=7))
    reasoning = Capabilities(max_tokens_field="max_completion_tokens")
    assert body(request, capabilities=reasoning)["max_completion_tokens"] == 7
    configured = body(request, capabilities=reasoning, max_tokens_field="max_tokens")
    assert configured["max_tokens"] == 7
