"""Where servers of this dialect differ in what they are told; synthetic."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from llmgateway_server.config.presets import PRESETS
from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.events import ProviderEvent, ReasoningDelta, TextDelta
from llmgateway_server.domain.request import Sampling
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.echo import Echo
from llmgateway_server.providers.http_provider import HttpProvider
from llmgateway_server.providers.openai_chat import OpenAIChat, OpenAIChatOptions
from llmgateway_server.providers.openai_chat.messages import nine_characters
from support.chat_provider import ScriptedBody, ScriptedTransport, response
from support.chat_request import ASK, body, messages
from support.chat_stream import DONE, STOP, sse, text

BEGUN = replace(ASK, messages=(*ASK.messages, Message(Role.ASSISTANT, (TextPart("Hello, w"),))))
MISTRAL = dict(PRESETS["mistral"].options)


def test_mistral_is_told_what_it_knows_by_the_names_that_it_knows() -> None:
    request = replace(ASK, sampling=Sampling(seed=0), end_user_id="u")
    assert body(request, **MISTRAL) == {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "random_seed": 0,
    }


def test_mistral_is_not_told_whose_texts_it_embeds() -> None:
    request = EmbeddingRequest("", ("Hi",), end_user_id="u")
    for options, user in ((MISTRAL, None), ({}, "u")):
        dialect = OpenAIChat("up", "https://up.example/v1", OpenAIChatOptions(**options))
        assert json.loads(dialect.embed_call(request, "m").body).get("user") == user


def test_the_end_user_goes_by_the_name_that_the_server_has_for_it() -> None:
    request = replace(ASK, end_user_id="u")
    assert body(request)["user"] == "u"
    assert body(request, end_user_field="safety_identifier")["safety_identifier"] == "u"


def test_marks_of_the_cache_are_where_openrouter_wants_them() -> None:
    marked = TextPart("Long", cache_breakpoint=True)
    image = MediaPart("image/png", uri="https://x.example/a.png", cache_breakpoint=True)
    conversation = (
        Message(Role.SYSTEM, (marked,)),
        Message(Role.USER, (TextPart("Hi"), image)),
        Message(Role.ASSISTANT, (marked, ToolCallPart("a", "add", "{}"))),
        Message(Role.TOOL, (ToolResultPart("a", (marked,)),)),
    )
    control = {"cache_control": {"type": "ephemeral"}}
    text = {"type": "text", "text": "Long", **control}
    url = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}, **control}
    sent = messages(*conversation, **PRESETS["openrouter"].options)
    assert [message["content"] for message in sent] == [
        [text],
        [{"type": "text", "text": "Hi"}, url],
        [text],
        [text],
    ]
    assert "cache_control" not in json.dumps(messages(*conversation))


def test_calls_of_other_providers_are_renamed_for_mistral_with_their_results() -> None:
    calls = [ToolCallPart(name, "add", "{}") for name in ("call_1", "toolu_x", "abcDEF123")]
    results = [ToolResultPart(call.tool_call_id, (TextPart("3"),)) for call in calls]
    turn, *answers = messages(
        Message(Role.ASSISTANT, tuple(calls)), Message(Role.TOOL, tuple(results)), **MISTRAL
    )
    ids = [call["id"] for call in turn["tool_calls"]]
    assert [answer["tool_call_id"] for answer in answers] == ids
    assert len(set(ids)) == 3
    assert ids[2] == "abcDEF123"
    assert all(len(call_id) == 9 and call_id.isalnum() and call_id.isascii() for call_id in ids)


@given(call_id=st.text())
def test_any_id_becomes_one_of_nine_characters_and_stays_it(call_id: str) -> None:
    short = nine_characters(call_id)
    assert len(short) == 9
    assert short.isascii()
    assert short.isalnum()
    assert nine_characters(short) == short == nine_characters(call_id)


@pytest.mark.parametrize("way", ["prefix", "echoed_prefix"])
def test_a_last_message_of_the_assistant_is_marked_where_the_server_wants_it(way: str) -> None:
    assert body(BEGUN, continuation=way)["messages"][1:] == [
        {"role": "assistant", "content": "Hello, w", "prefix": True}
    ]


def test_vllm_is_told_to_continue() -> None:
    written = body(BEGUN, **PRESETS["vllm"].options)
    assert written["messages"][1:] == [{"role": "assistant", "content": "Hello, w"}]
    assert (written["continue_final_message"], written["add_generation_prompt"]) == (True, False)


@pytest.mark.parametrize("preset", ["llamacpp", "ollama", "openrouter"])
def test_others_continue_untold(preset: str) -> None:
    written = body(BEGUN, **PRESETS[preset].options)
    assert written["messages"][1:] == [{"role": "assistant", "content": "Hello, w"}]
    assert "continue_final_message" not in written


@pytest.mark.parametrize(("stream", "echo"), [(True, ""), (False, "Hello, w")])
def test_llama_cpp_repeats_what_it_continues_in_whole_answers(*, stream: bool, echo: str) -> None:
    options = OpenAIChatOptions(**PRESETS["llamacpp"].options)
    dialect = OpenAIChat("up", "http://127.0.0.1:8080/v1", options)
    assert dialect.build(BEGUN, "m", Capabilities(), stream=stream).echo == echo


@pytest.mark.parametrize(
    "last",
    [
        Message(Role.USER, (TextPart("Go on"),)),
        # Nothing that could be continued.
        Message(Role.ASSISTANT, (ToolCallPart("a", "add", "{}"),)),
        Message(Role.ASSISTANT, (TextPart("I add"), ToolCallPart("a", "add", "{}"))),
        Message(Role.ASSISTANT, (ReasoningPart("Hm."),)),
    ],
)
@pytest.mark.parametrize("way", ["prefix", "continue_final_message"])
def test_what_is_no_beginning_is_not_continued(last: Message, way: str) -> None:
    written = body(replace(ASK, messages=(*ASK.messages, last)), continuation=way)
    assert "prefix" not in json.dumps(written)
    assert "continue_final_message" not in written


def heard(echo: str, *pieces: str) -> str:
    filtered = Echo(echo)
    events: list[ProviderEvent] = []
    for piece in pieces:
        events += filtered.without([TextDelta(0, piece)])
    events += filtered.without([Finish(FinishReason.STOP)])
    assert isinstance(events.pop(), Finish)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@given(echo=st.text(min_size=1), rest=st.text(), cuts=st.lists(st.integers(0, 40)))
def test_an_echo_is_taken_off_wherever_it_is_cut(echo: str, rest: str, cuts: list[int]) -> None:
    whole = echo + rest
    edges = sorted({cut % (len(whole) + 1) for cut in cuts})
    starts, ends = [0, *edges], [*edges, len(whole)]
    pieces = [whole[a:b] for a, b in zip(starts, ends, strict=True) if b > a]
    assert heard(echo, *pieces) == rest


@pytest.mark.parametrize("answer", ["World", "He", "Hello. W", "hello, world", ""])
def test_an_answer_that_repeats_nothing_is_left_alone(answer: str) -> None:
    assert heard("Hello, w", *answer) == answer


def test_text_behind_something_else_is_no_echo() -> None:
    events: list[ProviderEvent] = [ReasoningDelta(0, "Hm."), TextDelta(1, "Hello, w")]
    assert Echo("Hello, w").without(events) == events


async def test_a_continued_answer_of_mistral_is_the_rest_alone() -> None:
    options = OpenAIChatOptions(**MISTRAL)
    data = [sse(text("Hello, w")), sse(text("orld")), sse(STOP) + DONE]
    settings = ProviderSettings("up", "https://up.example/v1", None, options)
    provider = HttpProvider(
        settings,
        lambda _: OpenAIChat("up", "https://up.example/v1", options),
        transport=ScriptedTransport(response(ScriptedBody(data))),
    )
    stream = await provider.open(BEGUN, "m", Timers())
    events: list[ProviderEvent] = []
    while not events or not isinstance(events[-1], Finish):
        events += await stream.read()
    assert events == [TextDelta(0, "orld"), Finish(FinishReason.STOP, "stop")]


def test_a_renamed_call_is_renamed_the_same_in_every_process() -> None:
    """A conversation goes on at another replica, which has to give the same names."""
    assert nine_characters("call_1") == hashlib.sha256(b"call_1").hexdigest()[:9]
