"""Conversations on the wire of Responses: what an answer said comes back as it was said."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.answer import Route
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
from llmgateway_server.domain.events import StreamStart
from llmgateway_server.domain.fold import Fold
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.openai_responses import OpenAIResponses, OpenAIResponsesOptions
from llmgateway_server.providers.openai_responses.reasoning import signature_of
from support.responses_stream import (
    COMPLETED,
    Json,
    added,
    answered,
    arguments,
    call,
    completed,
    done,
    message,
    reasoning,
    summary,
    text,
)

PNG = MediaPart("image/png", data=b"\x89PNG")
PNG_ITEM = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="}
THOUGHT = ReasoningPart("Hm.", signature_of("rs_1", "gAAA"), "up")
THOUGHT_ITEM = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "encrypted_content": "gAAA",
}


def items(*conversation: Message, capabilities: Capabilities | None = None) -> list[Json]:
    dialect = OpenAIResponses("up", "http://127.0.0.1:8080/v1", OpenAIResponsesOptions())
    request = GenerationRequest("", conversation)
    built = dialect.build(request, "tiny", capabilities or Capabilities(), stream=True)
    sent: list[Json] = json.loads(built.body)["input"]
    return sent


def assistant(*parts: Part, capabilities: Capabilities | None = None) -> list[Json]:
    return items(Message(Role.ASSISTANT, parts), capabilities=capabilities)


def said(*texts: str) -> Json:
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": words} for words in texts],
    }


def answer_to(*payloads: Json, provider: str = "up") -> Message:
    """The message that a caller keeps of a streamed answer."""
    fold = Fold()
    fold.add(StreamStart("", "", Route(provider, "m")))
    for event in answered(*payloads):
        fold.add(event)
    return Message(Role.ASSISTANT, fold.answer().parts)


def test_a_system_message_keeps_its_place_wherever_it_is() -> None:
    assert [
        (item["role"], item["content"][0]["text"])
        for item in items(
            Message(Role.SYSTEM, (TextPart("Be brief."),)),
            Message(Role.USER, (TextPart("Hi"),)),
            Message(Role.SYSTEM, (TextPart("Be long."),)),
        )
    ] == [("system", "Be brief."), ("user", "Hi"), ("system", "Be long.")]


def test_a_tool_conversation_comes_back_with_its_ids_and_order() -> None:
    first, second = call("add", '{"a": 1,  "b": 2}'), call("now", "", 2)
    kept = answer_to(
        added(message("")),
        text("Calling."),
        done(message("Calling.")),
        added(call("add"), 1),
        added(call("now", number=2), 2),
        arguments('{"a": 1,', 1),
        arguments('  "b": 2}', 1),
        done(first, 1),
        done(second, 2),
        completed(message("Calling."), first, second),
    )
    results = Message(
        Role.TOOL,
        (
            ToolResultPart("call_1", (TextPart("3"),)),
            ToolResultPart("call_2", (TextPart("no clock"),), is_error=True),
        ),
    )
    assert items(Message(Role.USER, (TextPart("Go"),)), kept, results) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Go"}]},
        said("Calling."),
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "add",
            "arguments": '{"a": 1,  "b": 2}',
        },
        {"type": "function_call", "call_id": "call_2", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "3"},
        {"type": "function_call_output", "call_id": "call_2", "output": "Error: no clock"},
    ]


REASONED = (
    added(reasoning(encrypted="g")),
    summary("Hm."),
    done(reasoning("Hm.", encrypted="gAAA")),
    added(reasoning(encrypted="g", item_id="rs_2"), 1),
    done(reasoning(encrypted="gBBB", item_id="rs_2"), 1),
    added(call("add"), 2),
    arguments("{}", 2),
    done(call("add", "{}"), 2),
    text("Done.", 3),
    COMPLETED,
)


def test_a_reasoning_conversation_comes_back_with_its_state_and_order() -> None:
    assert items(answer_to(*REASONED)) == [
        THOUGHT_ITEM,
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gBBB"},
        {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"},
        said("Done."),
    ]


def test_a_caller_that_was_shown_no_reasoning_says_the_rest() -> None:
    kept = answer_to(*REASONED)
    visible = tuple(part for part in kept.parts if not isinstance(part, ReasoningPart))
    assert [item["type"] for item in items(Message(Role.ASSISTANT, visible))] == [
        "function_call",
        "message",
    ]


def test_what_another_provider_thought_is_dropped() -> None:
    kept = answer_to(*REASONED, provider="other")
    assert [item["type"] for item in items(kept)] == ["function_call", "message"]


@pytest.mark.parametrize(
    "thought",
    [
        ReasoningPart("Hm."),
        ReasoningPart("Hm.", b"", "up"),
        ReasoningPart("Hm.", b"EpoC", "up"),
        ReasoningPart("Hm.", THOUGHT.signature, "other"),
        ReasoningPart("Hm.", THOUGHT.signature),
    ],
)
def test_reasoning_without_a_signature_of_ours_is_dropped(thought: ReasoningPart) -> None:
    assert assistant(thought, TextPart("Yes")) == [said("Yes")]


def test_a_model_that_does_not_reason_is_not_given_reasoning() -> None:
    capabilities = Capabilities(reasoning=False)
    assert assistant(THOUGHT, TextPart("Yes"), capabilities=capabilities) == [said("Yes")]


def test_reasoning_that_led_to_nothing_is_dropped() -> None:
    assert assistant(THOUGHT) == []
    assert assistant(THOUGHT, TextPart("Yes"), THOUGHT, THOUGHT) == [THOUGHT_ITEM, said("Yes")]


def test_texts_are_one_message_until_something_comes_between() -> None:
    called = ToolCallPart("call_1", "now", "{}")
    assert [
        item.get("content", item["type"])
        for item in assistant(TextPart("a"), TextPart("b"), called, TextPart("c"))
    ] == [said("a", "b")["content"], "function_call", said("c")["content"]]


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResultPart("c", ()), ""),
        (ToolResultPart("c", (TextPart("3"),)), "3"),
        (
            ToolResultPart("c", (TextPart("3"), PNG)),
            [{"type": "input_text", "text": "3"}, PNG_ITEM],
        ),
        (ToolResultPart("c", (PNG,)), [PNG_ITEM]),
        (ToolResultPart("c", (), is_error=True), "Error:"),
        (ToolResultPart("c", (TextPart("no"),), is_error=True), "Error: no"),
        (
            ToolResultPart("c", (PNG,), is_error=True),
            [{"type": "input_text", "text": "Error:"}, PNG_ITEM],
        ),
    ],
)
def test_a_result_is_a_text_or_a_list_with_its_images(result: ToolResultPart, output: Any) -> None:
    assert items(Message(Role.TOOL, (result,))) == [
        {"type": "function_call_output", "call_id": "c", "output": output}
    ]


def test_media_in_a_result_are_named_by_their_place() -> None:
    audio = ToolResultPart("c", (TextPart("3"), MediaPart("audio/wav", data=b"R")))
    with pytest.raises(GatewayError) as raised:
        items(Message(Role.TOOL, (audio,)))
    assert raised.value.reason is Reason.CAPABILITY_UNSUPPORTED
    field = "input.messages[0].parts[0].tool_result.parts[1].media.mime_type"
    assert ("field", field) in raised.value.metadata


@pytest.mark.parametrize(
    ("role", "part"),
    [
        (Role.SYSTEM, PNG),
        (Role.SYSTEM, ToolCallPart("c", "n", "{}")),
        (Role.USER, ToolCallPart("c", "n", "{}")),
        (Role.USER, ToolResultPart("c", ())),
        (Role.USER, THOUGHT),
        (Role.ASSISTANT, PNG),
        (Role.ASSISTANT, ToolResultPart("c", ())),
        (Role.TOOL, TextPart("t")),
        (Role.TOOL, ToolCallPart("c", "n", "{}")),
    ],
)
def test_a_part_that_a_role_cannot_carry_is_named(role: Role, part: Part) -> None:
    with pytest.raises(GatewayError) as raised:
        items(Message(Role.USER, (TextPart("Hi"),)), Message(role, (part,)))
    assert raised.value.reason is Reason.REQUEST_INVALID
    assert raised.value.violations[0].field == "input.messages[1].parts[0]"
    assert role.name in raised.value.message
