"""Reasoning that servers want back: OpenRouter's details (synthetic), plain text."""

import json

from llmgateway_server.domain.answer import Route
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Part, ReasoningPart, Role, TextPart
from llmgateway_server.domain.events import StreamStart
from llmgateway_server.domain.fold import Fold
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.openai_chat import OpenAIChat, OpenAIChatOptions
from llmgateway_server.providers.openai_chat.stream import ChatStream
from support.chat_stream import DONE, STOP, sse, text


def detail(**fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {"content": "", "reasoning_details": [fields]}}]}


def folded(stream: bytes) -> tuple[Part, ...]:
    decoder = ChatStream()
    fold = Fold()
    fold.add(StreamStart("", "", Route("up", "m")))
    for event in [*decoder.feed(stream), *decoder.end()]:
        fold.add(event)
    return fold.answer().parts


def sent_back(parts: tuple[Part, ...], provider: str = "up", **options: str) -> dict[str, object]:
    dialect = OpenAIChat(provider, "http://127.0.0.1/v1", OpenAIChatOptions.model_validate(options))
    hi = Message(Role.USER, (TextPart("Hi"),))
    request = GenerationRequest("", (hi, Message(Role.ASSISTANT, parts), hi))
    body = json.loads(dialect.build(request, "m", Capabilities(), stream=True).body)
    message: dict[str, object] = body["messages"][1]
    return message


SIGNED = sse(
    detail(type="reasoning.text", text="Let me ", index=0, signature=None),
    detail(type="reasoning.text", text="think.", index=0),
    detail(type="reasoning.text", signature="c2ln", index=0),
    detail(type="reasoning.encrypted", data="b3BhcXVl", index=1),
    text("Yes"),
    STOP,
)


def test_signed_details_return_whole_to_the_provider_that_signed_them() -> None:
    parts = folded(SIGNED + DONE)
    assert sent_back(parts)["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Let me think.", "index": 0, "signature": "c2ln"},
        {"type": "reasoning.encrypted", "data": "b3BhcXVl", "index": 1},
    ]


def test_signed_details_are_dropped_for_another_provider() -> None:
    assert "reasoning_details" not in sent_back(folded(SIGNED + DONE), provider="other")


def test_details_without_anything_opaque_make_no_signature() -> None:
    stream = sse(detail(type="reasoning.text", text="Hm", index=0), text("Yes"), STOP)
    assert folded(stream + DONE) == (TextPart("Yes"),)


def test_a_signature_of_another_make_is_not_sent() -> None:
    for signature in (b"\xff\x00", b"[]", b'{"reasoning_details": 1}', b'{"other": []}'):
        part = ReasoningPart("Hm", signature, "up")
        assert sent_back((part, TextPart("Yes"))) == {"role": "assistant", "content": "Yes"}


def test_plain_reasoning_returns_only_where_the_server_wants_it() -> None:
    parts = (ReasoningPart("Hm"), TextPart("Yes"))
    assert sent_back(parts) == {"role": "assistant", "content": "Yes"}
    message = sent_back(parts, reasoning_history="reasoning_content")
    assert message["reasoning_content"] == "Hm"
