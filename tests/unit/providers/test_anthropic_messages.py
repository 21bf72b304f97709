"""What a conversation becomes on the wire of Messages."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.anthropic import Anthropic, AnthropicOptions
from llmgateway_server.providers.anthropic.signature import sealed, thinking_block

Json = dict[str, Any]
CACHED = {"cache_control": {"type": "ephemeral"}}
PNG = MediaPart("image/png", data=b"\x89PNG")
PNG_BLOCK = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="},
}


def raw(*messages: Message) -> bytes:
    dialect = Anthropic("claude", "https://api.anthropic.com/v1", AnthropicOptions())
    return dialect.build(GenerationRequest("", messages), "m", Capabilities(), stream=True).body


def body(*messages: Message) -> Json:
    written: Json = json.loads(raw(*messages))
    return written


def turns(*messages: Message) -> list[Json]:
    written: list[Json] = body(*messages)["messages"]
    return written


def rejected(*messages: Message) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        raw(*messages)
    return raised.value


def system(*parts: Part) -> Message:
    return Message(Role.SYSTEM, parts)


def user(*parts: Part | str) -> Message:
    return Message(Role.USER, tuple(TextPart(p) if isinstance(p, str) else p for p in parts))


def model(*parts: Part | str) -> Message:
    return Message(Role.ASSISTANT, tuple(TextPart(p) if isinstance(p, str) else p for p in parts))


def result(call_id: str, *parts: TextPart | MediaPart, is_error: bool = False) -> Message:
    return Message(Role.TOOL, (ToolResultPart(call_id, parts, is_error),))


def text(value: str, **more: Any) -> Json:
    return {"type": "text", "text": value, **more}


def test_the_systems_words_are_a_field_of_their_own() -> None:
    written = body(
        system(TextPart("Be brief"), TextPart("Be kind", cache_breakpoint=True)), user("Hi")
    )
    assert written["system"] == [text("Be brief"), text("Be kind", **CACHED)]
    assert written["messages"] == [{"role": "user", "content": [text("Hi")]}]


def test_the_systems_words_keep_their_weight_wherever_they_are_said() -> None:
    written = body(
        system(TextPart("Be brief")),
        user("Hi"),
        model(ToolCallPart("a", "now", "{}")),
        system(TextPart("Answer in French")),
        result("a", TextPart("noon")),
    )
    assert written["system"] == [text("Be brief"), text("Answer in French")]
    assert [turn["role"] for turn in written["messages"]] == ["user", "assistant", "user"]


def test_consecutive_messages_of_one_role_are_one_turn() -> None:
    assert turns(user("a"), user("b"), model("c"), model("d"), user("e")) == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c"), text("d")]},
        {"role": "user", "content": [text("e")]},
    ]


def test_an_answer_that_has_begun_is_the_last_turn_as_it_stands() -> None:
    assert turns(user("Count"), model("one, two,\n"))[1:] == [
        {"role": "assistant", "content": [text("one, two,\n")]}
    ]


def test_all_results_of_a_turn_come_first_in_one_message() -> None:
    calls = (ToolCallPart("a", "add", '{"x":1}'), ToolCallPart("b", "add", ""))
    written = turns(
        user("Add"),
        model("Sure.", *calls),
        result("a", TextPart("1")),
        user("Hurry"),
        result("b", TextPart("2"), is_error=True),
    )
    assert written[1:] == [
        {
            "role": "assistant",
            "content": [
                text("Sure."),
                {"type": "tool_use", "id": "a", "name": "add", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "add", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": [text("1")]},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [text("2")],
                    "is_error": True,
                },
                text("Hurry"),
            ],
        },
    ]


def test_arguments_are_sent_as_the_model_wrote_them() -> None:
    arguments = '{"b": 12345678901234567890, "a": 1.10, "b": "\\u00e9"}'
    assert b'"input":' + arguments.encode() in raw(
        user("x"), model(ToolCallPart("a", "f", arguments))
    )


@pytest.mark.parametrize("arguments", ["[]", "1", '{"a":', "{} {}", "[" * 100_000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    error = rejected(user("x"), model(ToolCallPart("a", "f", arguments)))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[1].parts[0].tool_call.arguments_json"


def test_a_call_that_another_provider_named_keeps_its_answer() -> None:
    written = turns(
        user("x"),
        model(ToolCallPart("functions.f:0", "f", "{}")),
        result("functions.f:0", TextPart("1")),
    )
    assert written[1]["content"][0]["id"] == "functions_f_0"
    assert written[2]["content"][0]["tool_use_id"] == "functions_f_0"


@pytest.mark.parametrize("blank", ["", " ", "\n\t"])
def test_blank_text_is_left_out(blank: str) -> None:
    written = body(
        system(TextPart(blank)),
        user("a", blank),
        model(blank),
        user("b"),
        model(blank, ToolCallPart("a", "f", "{}")),
        result("a", TextPart(blank, cache_breakpoint=True)),
    )
    assert "system" not in written
    assert written["messages"] == [
        {"role": "user", "content": [text("a"), text("b")]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", **CACHED}]},
    ]


@pytest.mark.parametrize(
    "messages", [(user(""),), (system(TextPart("Be brief")),), (model(ReasoningPart("x")),)]
)
def test_nothing_said_is_refused(messages: tuple[Message, ...]) -> None:
    assert rejected(*messages).violations[0].field == "input.messages"


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (PNG, PNG_BLOCK),
        (
            MediaPart("image/png", uri="https://x.example/a.png"),
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
        ),
        (
            MediaPart("", uri="https://x.example/a"),
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a"}},
        ),
        (
            MediaPart("image/webp", uri="file_011CNha8iCJcU1wXNR6q4V8w"),
            {
                "type": "image",
                "source": {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"},
            },
        ),
        (
            MediaPart("application/pdf", data=b"%PDF"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            },
        ),
        (
            MediaPart("application/pdf", uri="https://x.example/a.pdf"),
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
        ),
    ],
)
def test_media_by_bytes_address_and_file(part: MediaPart, block: Json) -> None:
    assert turns(user("See", part))[0]["content"][1] == block
    call = model(ToolCallPart("a", "f", "{}"))
    written = turns(user("See"), call, result("a", part, TextPart("there")))
    assert written[2]["content"][0]["content"] == [block, text("there")]


@pytest.mark.parametrize("mime_type", ["audio/wav", "text/plain", ""])
def test_media_that_the_api_does_not_take_is_refused(mime_type: str) -> None:
    error = rejected(user(MediaPart(mime_type, data=b"x")))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert dict(error.metadata)["field"] == "input.messages[0].parts[0].media.mime_type"


@pytest.mark.parametrize("uri", ["data:image/png;base64,AA==", "gs://bucket/a.png", "/etc/passwd"])
def test_an_address_that_nobody_can_fetch_is_refused(uri: str) -> None:
    error = rejected(
        user("x"),
        model(ToolCallPart("a", "f", "{}")),
        result("a", TextPart("y"), MediaPart("image/png", uri=uri)),
    )
    field = "input.messages[2].parts[0].tool_result.parts[1].media.uri"
    assert error.violations[0].field == field


@pytest.mark.parametrize(
    "message",
    [
        system(PNG),
        user(ToolCallPart("a", "f", "{}")),
        user(ReasoningPart("x")),
        model(PNG),
        model(ToolResultPart("a", (TextPart("x"),))),
        Message(Role.TOOL, (TextPart("x"),)),
    ],
)
def test_a_part_in_the_wrong_place_is_refused(message: Message) -> None:
    error = rejected(user("x"), message)
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[1].parts[0]"


def test_thinking_goes_back_to_whom_it_came_from() -> None:
    written = turns(
        user("x"),
        model(
            ReasoningPart("Look.", b"thinking:c2ln", "claude"),
            ReasoningPart("", b"redacted_thinking:ZGF0YQ==", "claude"),
            ReasoningPart("", b"c2ln", "claude"),
            ToolCallPart("a", "f", "{}"),
        ),
        result("a", TextPart("1")),
    )
    assert written[1]["content"][:3] == [
        {"type": "thinking", "thinking": "Look.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        # As Anthropic itself gave it, with its text kept to itself.
        {"type": "thinking", "thinking": "", "signature": "c2ln"},
    ]


@pytest.mark.parametrize(
    "part",
    [
        ReasoningPart("Look."),
        ReasoningPart("Look.", b"thinking:c2ln", "claude-eu"),
        ReasoningPart("Look.", b"", "claude"),
    ],
)
def test_thinking_that_would_be_refused_is_left_out(part: ReasoningPart) -> None:
    assert turns(user("x"), model(part, "y"))[1]["content"] == [text("y")]


def test_a_signature_that_is_none_is_refused() -> None:
    error = rejected(user("x"), model(ReasoningPart("", b"\xff\xfe", "claude")))
    assert error.violations[0].field == "input.messages[1].parts[0].reasoning.signature"


@given(kind=st.sampled_from(["thinking", "redacted_thinking"]), value=st.text())
def test_a_signature_survives_the_way_through_the_gateway(kind: str, value: str) -> None:
    block = thinking_block(ReasoningPart("t", sealed(kind, value), "claude"))
    assert block["type"] == kind
    assert block["signature" if kind == "thinking" else "data"] == value


def test_marks_of_the_cache_are_where_they_were_set() -> None:
    written = body(
        system(TextPart("s", cache_breakpoint=True)),
        user(MediaPart("image/png", data=b"\x89PNG", cache_breakpoint=True), "x"),
        model(
            ReasoningPart("t", b"thinking:c2ln", "claude", cache_breakpoint=True),
            ToolCallPart("a", "f", "{}", cache_breakpoint=True),
        ),
        # One within a result marks the result.
        result("a", TextPart("1", cache_breakpoint=True), TextPart("2")),
    )
    assert written["system"] == [text("s", **CACHED)]
    question, turn, answer = written["messages"]
    assert question["content"] == [PNG_BLOCK | CACHED, text("x")]
    assert ["cache_control" in block for block in turn["content"]] == [False, True]
    content = [text("1"), text("2")]
    assert answer["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": content, **CACHED}
    ]


def test_a_fifth_mark_of_the_cache_is_refused() -> None:
    marked = TextPart("x", cache_breakpoint=True)
    assert turns(user(*[marked] * 4))
    error = rejected(user(*[marked] * 3), model("y"), user(marked, marked))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[2].parts[1].cache_breakpoint"
