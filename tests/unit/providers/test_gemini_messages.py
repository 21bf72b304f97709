"""What a conversation becomes in Gemini's contents: media, calls, results, signatures."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
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
from llmgateway_server.providers.gemini import Gemini, GeminiOptions
from support.gemini_stream import ANSWER_ID, Json, answered, call, chunk, text, thought

BASE = "https://generativelanguage.googleapis.com/v1beta"
ASK = Message(Role.USER, (TextPart("Go"),))
SECOND = Capabilities(thinking=ThinkingStyle.BUDGET)
THIRD = Capabilities(thinking=ThinkingStyle.LEVEL)
PNG = MediaPart("image/png", data=b"\x89PNG")
INLINE = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
DUMMY = "skip_thought_signature_validator"


def body(*messages: Message, capabilities: Capabilities = SECOND) -> dict[str, Any]:
    request = GenerationRequest("", messages)
    written: dict[str, Any] = json.loads(
        Gemini("up", BASE, GeminiOptions()).build(request, "m", capabilities, stream=True).body
    )
    return written


def contents(*messages: Message, capabilities: Capabilities = SECOND) -> list[Json]:
    sent: list[Json] = body(*messages, capabilities=capabilities)["contents"]
    return sent


def model_parts(*parts: Part, capabilities: Capabilities = SECOND) -> list[Json]:
    """What an assistant message of these parts becomes."""
    _, answer = contents(ASK, Message(Role.ASSISTANT, parts), capabilities=capabilities)
    assert answer["role"] == "model"
    said: list[Json] = answer["parts"]
    return said


def rejected(*messages: Message) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        contents(*messages)
    return raised.value


def answer_of(*payloads: Json) -> tuple[Part, ...]:
    """The parts that a caller gets of a stream from this provider."""
    fold = Fold()
    fold.add(StreamStart("", "", Route("up", "m")))
    for event in answered(*payloads):
        fold.add(event)
    return fold.answer().parts


def results(*parts: ToolResultPart) -> Message:
    return Message(Role.TOOL, parts)


def result(call_id: str, *parts: TextPart | MediaPart, is_error: bool = False) -> ToolResultPart:
    return ToolResultPart(call_id, parts, is_error)


def test_all_system_messages_are_the_instruction() -> None:
    written = body(
        Message(Role.SYSTEM, (TextPart("Be brief."),)),
        ASK,
        Message(Role.SYSTEM, (TextPart("Be kind."),)),
    )
    assert written["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert written["contents"] == [{"role": "user", "parts": [{"text": "Go"}]}]


def test_neighbours_of_one_role_are_one_turn() -> None:
    hello = Message(Role.ASSISTANT, (TextPart("a"),))
    assert contents(ASK, ASK, hello, hello) == [
        {"role": "user", "parts": [{"text": "Go"}, {"text": "Go"}]},
        {"role": "model", "parts": [{"text": "a"}, {"text": "a"}]},
    ]


@pytest.mark.parametrize(
    ("uri", "sent"),
    [
        ("https://example.com/cat.png", "https://example.com/cat.png"),
        (f"{BASE}/files/abc", f"{BASE}/files/abc"),
        ("files/abc", f"{BASE}/files/abc"),
        ("gs://bucket/cat.png", "gs://bucket/cat.png"),
    ],
)
def test_media_go_as_bytes_or_as_what_google_fetches(uri: str, sent: str) -> None:
    parts = (TextPart("What?"), PNG, MediaPart("image/png", uri=uri), MediaPart("", uri=uri))
    assert contents(Message(Role.USER, parts))[0]["parts"] == [
        {"text": "What?"},
        INLINE,
        {"fileData": {"fileUri": sent, "mimeType": "image/png"}},
        {"fileData": {"fileUri": sent}},
    ]


@pytest.mark.parametrize("uri", ["http://example.com/cat.png", "file:///etc/passwd", "cat", ""])
def test_media_that_google_cannot_fetch_are_refused(uri: str) -> None:
    error = rejected(Message(Role.USER, (TextPart("?"), MediaPart("image/png", uri=uri))))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[0].parts[1].media.uri"
    assert "https" in error.violations[0].description


def test_any_media_type_is_googles_to_judge() -> None:
    wav = MediaPart("audio/wav", data=b"RIFF")
    assert contents(Message(Role.USER, (wav,)))[0]["parts"][0]["inlineData"]["mimeType"] == (
        "audio/wav"
    )
    assert model_parts(PNG) == [INLINE]


def test_a_tool_conversation_keeps_ids_order_and_arguments() -> None:
    """Synthetic: two turns of tools, with ids that Google gave and ids that we made."""
    first = answer_of(
        chunk(text("Calling."), call("add", {"a": 1}, "8f2b1a3c"), call("now"), finish="STOP")
    )
    second = answer_of(chunk(call("now"), finish="STOP", responseId="second"))
    made, later = f"gemini_{ANSWER_ID}_1", "gemini_second_0"
    sent = contents(
        ASK,
        Message(Role.ASSISTANT, first),
        # In another order than the calls, and in two messages.
        results(result(made, TextPart("no clock"), is_error=True)),
        results(result("8f2b1a3c", TextPart("3"), TextPart("three"))),
        Message(Role.ASSISTANT, second),
        results(result(later, TextPart("noon"))),
    )
    assert sent == [
        {"role": "user", "parts": [{"text": "Go"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Calling."},
                {"functionCall": {"id": "8f2b1a3c", "name": "add", "args": {"a": 1}}},
                {"functionCall": {"name": "now", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "8f2b1a3c",
                        "name": "add",
                        "response": {"output": ["3", "three"]},
                    }
                },
                {"functionResponse": {"name": "now", "response": {"error": "no clock"}}},
            ],
        },
        {"role": "model", "parts": [{"functionCall": {"name": "now", "args": {}}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "now", "response": {"output": "noon"}}}],
        },
    ]


@pytest.mark.parametrize("call_id", ["call_abc", "toolu_01", "gemini_x_0"])
def test_an_id_that_google_did_not_give_is_not_sent(call_id: str) -> None:
    _, calls, answers = contents(
        ASK,
        Message(Role.ASSISTANT, (ToolCallPart(call_id, "f", "{}"),)),
        results(result(call_id, TextPart("x"))),
    )
    assert calls["parts"] == [{"functionCall": {"name": "f", "args": {}}}]
    assert "id" not in answers["parts"][0]["functionResponse"]


def test_arguments_are_sent_as_they_were_written() -> None:
    arguments = '{"big":12345678901234567890.10,  "e": 1E+3}'
    part = ToolCallPart("c", "f", arguments)
    request = GenerationRequest("", (ASK, Message(Role.ASSISTANT, (part,))))
    call_ = Gemini("up", BASE, GeminiOptions()).build(request, "m", SECOND, stream=False)
    assert arguments.encode() in call_.body
    assert model_parts(replace(part, arguments_json=""))[0]["functionCall"]["args"] == {}


@pytest.mark.parametrize("arguments", ["{", "[]", "7", '{}, "x": {}', "[" * 5000])
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    error = rejected(ASK, Message(Role.ASSISTANT, (ToolCallPart("c", "f", arguments),)))
    assert error.violations[0].field == "input.messages[1].parts[0].tool_call.arguments_json"


def test_a_result_of_no_call_is_refused() -> None:
    calls = Message(Role.ASSISTANT, (ToolCallPart("a", "f", "{}"),))
    error = rejected(ASK, calls, results(result("b", TextPart("x"))))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[2].parts[0].tool_result.tool_call_id"


def test_an_id_that_is_used_again_means_the_last_call_of_it() -> None:
    sent = contents(
        ASK,
        Message(Role.ASSISTANT, (ToolCallPart("c", "first", "{}"),)),
        results(result("c", TextPart("1"))),
        Message(Role.ASSISTANT, (ToolCallPart("c", "second", "{}"),)),
        results(result("c", TextPart("2"))),
    )
    names = [sent[at]["parts"][0]["functionResponse"]["name"] for at in (2, 4)]
    assert names == ["first", "second"]


def test_images_in_results_are_part_of_them_where_the_model_takes_that() -> None:
    calls = Message(Role.ASSISTANT, (ToolCallPart("a", "draw", "{}"),))
    answers = results(result("a", TextPart("ok"), PNG))
    sent = contents(ASK, calls, answers, capabilities=THIRD)
    response = sent[2]["parts"][0]["functionResponse"]
    assert response == {
        "id": "a",
        "name": "draw",
        "response": {"output": "ok"},
        "parts": [INLINE],
    }
    assert len(sent) == 3


def test_images_in_results_follow_in_a_turn_of_their_own_elsewhere() -> None:
    calls = Message(
        Role.ASSISTANT, (ToolCallPart("a", "draw", "{}"), ToolCallPart("b", "now", "{}"))
    )
    answers = results(result("b", TextPart("noon")), result("a", PNG))
    sent = contents(ASK, calls, answers, ASK)
    assert [each["role"] for each in sent] == ["user", "model", "user", "user"]
    draw, now = (part["functionResponse"] for part in sent[2]["parts"])
    assert (draw["name"], now["name"]) == ("draw", "now")
    assert draw["response"]["output"]
    hoisted, *rest = sent[3]["parts"]
    assert "draw" in hoisted["text"]
    assert rest == [INLINE, {"text": "Go"}]


def test_an_address_in_a_result_is_never_inside_of_it() -> None:
    uri = "https://example.com/cat.png"
    calls = Message(Role.ASSISTANT, (ToolCallPart("a", "draw", "{}"),))
    answers = results(result("a", MediaPart("image/png", uri=uri), PNG))
    sent = contents(ASK, calls, answers, capabilities=THIRD)
    assert sent[2]["parts"][0]["functionResponse"]["parts"] == [INLINE]
    assert sent[3]["parts"][1]["fileData"]["fileUri"] == uri


def test_signatures_go_back_on_the_parts_that_they_came_on() -> None:
    """Synthetic: all carriers at once, as one answer and as what the next turn says of it."""
    said = [
        thought("Hm.", thoughtSignature="dGhvdWdodA=="),
        text("a"),
        text("b", thoughtSignature="dGV4dA=="),
        text("c"),
        call("f", {"x": 1}, thoughtSignature="Y2FsbA=="),
        call("g", {}),
        text("", thoughtSignature="ZW1wdHk="),
    ]
    parts = answer_of(chunk(*said, finish="STOP"))
    assert model_parts(*parts) == said
    assert model_parts(*parts, capabilities=THIRD) == said


def test_thoughts_without_a_signature_stay_here() -> None:
    parts = answer_of(chunk(thought("Hm."), text("Yes"), finish="STOP"))
    assert parts[0] == ReasoningPart("Hm.")
    assert model_parts(*parts) == [{"text": "Yes"}]


@pytest.mark.parametrize(
    "reasoning",
    [
        ReasoningPart("Hm."),
        ReasoningPart("Hm.", b"call:c2ln", "other"),
        ReasoningPart("Hm.", b"call:c2ln"),
        # Not in our form: of a provider that had this name before.
        ReasoningPart("Hm.", b"c2ln", "up"),
        ReasoningPart("Hm.", b"answer:c2ln", "up"),
        ReasoningPart("Hm.", b"call:\xff", "up"),
        # Of a part that is not there any more.
        ReasoningPart("", b"text:c2ln", "up"),
    ],
)
def test_a_signature_that_is_none_of_this_part_is_dropped(reasoning: ReasoningPart) -> None:
    plain = {"functionCall": {"name": "f", "args": {}}}
    assert model_parts(reasoning, ToolCallPart("call_1", "f", "{}")) == [plain]


def test_other_reasoning_may_stand_between_a_signature_and_its_part() -> None:
    signed = ReasoningPart("", b"text:c2ln", "up")
    said = model_parts(signed, ReasoningPart("Hm."), TextPart("a"), TextPart("b"))
    assert said == [{"text": "a", "thoughtSignature": "c2ln"}, {"text": "b"}]


def test_models_that_demand_signatures_get_googles_word_for_a_lost_one() -> None:
    calls = (ToolCallPart("call_1", "f", "{}"), ToolCallPart("call_2", "g", "{}"))
    first, second = model_parts(*calls, capabilities=THIRD)
    assert first == {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": DUMMY}
    assert second == {"functionCall": {"name": "g", "args": {}}}
    assert model_parts(TextPart("a"), capabilities=THIRD) == [{"text": "a"}]


def test_an_assistant_that_said_nothing_is_left_out() -> None:
    silent = Message(Role.ASSISTANT, (ReasoningPart("Hm."), TextPart("")))
    assert contents(ASK, silent) == [{"role": "user", "parts": [{"text": "Go"}]}]


@pytest.mark.parametrize(
    ("role", "part"),
    [
        (Role.SYSTEM, PNG),
        (Role.SYSTEM, ToolCallPart("c", "n", "{}")),
        (Role.USER, ToolCallPart("c", "n", "{}")),
        (Role.USER, ToolResultPart("c", ())),
        (Role.USER, ReasoningPart("r")),
        (Role.ASSISTANT, ToolResultPart("c", ())),
        (Role.TOOL, TextPart("t")),
        (Role.TOOL, ToolCallPart("c", "n", "{}")),
    ],
)
def test_a_part_that_a_role_cannot_carry_is_named(role: Role, part: Part) -> None:
    error = rejected(ASK, Message(role, (part,)))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.messages[1].parts[0]"
    assert role.name in error.message
