"""Whole answers and counts, as one body."""

import json
from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.providers.anthropic import Anthropic, AnthropicOptions
from llmgateway_server.providers.dialect import Failure, WireError

DIALECT = Anthropic("claude", "https://api.anthropic.com/v1", AnthropicOptions())


def message(*content: Any, word: str | None = "end_turn", **more: Any) -> bytes:
    fields = {"type": "message", "content": list(content), "stop_reason": word, **more}
    return json.dumps(fields, ensure_ascii=False).encode()


def refused(body: bytes) -> Failure:
    with pytest.raises(WireError) as raised:
        DIALECT.decode_body(body)
    return raised.value.failure


def uncounted(body: bytes) -> Failure:
    with pytest.raises(WireError) as raised:
        DIALECT.read_count(body)
    return raised.value.failure


def test_a_whole_answer_is_the_same_as_its_stream() -> None:
    body = message(
        {"type": "thinking", "thinking": "Look.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "ZGF0YQ=="},
        {"type": "text", "text": "Sí.", "citations": [{"cited_text": "x"}]},
        {"type": "text", "text": " Then."},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "new_block", "text": [1], "id": 2},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"x": 1.10}},
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
        word="tool_use",
        usage={"input_tokens": 3, "output_tokens": 4},
    )
    assert DIALECT.decode_body(b"\xef\xbb\xbf" + body) == [
        ReasoningDelta(0, "Look."),
        SignatureDelta(0, b"thinking:c2ln"),
        SignatureDelta(1, b"redacted_thinking:ZGF0YQ=="),
        TextDelta(2, "Sí. Then."),
        ToolCallDelta(3, "toolu_1", "add"),
        ToolCallDelta(3, arguments_json='{"x": 1.1}'),
        ToolCallDelta(4, "toolu_2", "now"),
        ToolCallDelta(4, arguments_json="{}"),
        Usage(input_token_count=3, output_token_count=4),
        Finish(FinishReason.TOOL_CALLS, "tool_use"),
    ]


def test_an_answer_may_be_empty_and_uncounted() -> None:
    assert DIALECT.decode_body(message()) == [Finish(FinishReason.STOP, "end_turn")]
    assert DIALECT.decode_body(message(word=None)) == [Finish(FinishReason.OTHER)]


def test_a_stop_sequence_is_named() -> None:
    *_, finish = DIALECT.decode_body(message(word="stop_sequence", stop_sequence="END"))
    assert finish == Finish(FinishReason.STOP, "stop_sequence", "END")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"type":"message","content":"Hi"}',
        b'{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}',
        message(5),
        message("Hi"),
        message({"type": "text", "text": 5}),
        message({"type": 5, "text": 5}),
        message({"type": "tool_use", "id": "a", "input": {}}),
        message({"type": "tool_use", "id": "a", "name": "f", "input": "x"}),
    ],
)
def test_what_is_no_message_is_a_failure(body: bytes) -> None:
    assert refused(body).reason is Reason.PROVIDER_PROTOCOL_ERROR


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}',
        b'{"error":{"type":"overloaded_error","message":"Overloaded"},"content":5}',
        b'{"type":"error","message":"Overloaded"}',
    ],
)
def test_an_error_with_200_is_an_error(body: bytes) -> None:
    for failure in (refused(body), uncounted(body)):
        assert (failure.reason, failure.message) == (Reason.PROVIDER_OVERLOADED, "Overloaded")


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"input_tokens":2095}', 2095),
        (b'{"input_tokens":12,"context_management":{"original_input_tokens":20}}', 12),
        (b'\xef\xbb\xbf{"input_tokens":0}', 0),
        (b'{"input_tokens":-3}', 0),
        (b'{"input_tokens":1e300}', 2**31 - 1),
    ],
)
def test_a_count_is_read(body: bytes, count: int) -> None:
    assert DIALECT.read_count(body) == count


@pytest.mark.parametrize("body", [b"", b"{}", b"5", b'{"input_tokens":"5"}', b"[" * 100_000])
def test_what_is_no_count_is_a_failure(body: bytes) -> None:
    assert uncounted(body).reason is Reason.PROVIDER_PROTOCOL_ERROR


def test_there_are_no_embeddings_to_read() -> None:
    with pytest.raises(WireError):
        DIALECT.read_embeddings(b"{}", 1)
