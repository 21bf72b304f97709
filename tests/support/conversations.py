"""A conversation with tools as every dialect's provider says it; synthetic.

The provider reasons and calls two tools at once, calls a third with their results, then answers.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.request import Tool
from llmgateway_server.providers import anthropic, gemini, openai_chat, openai_responses
from llmgateway_server.providers.dialect import DialectPlugin
from support import chat_stream, gemini_stream, message_stream, responses_stream

Json = dict[str, Any]
QUESTION = Message(Role.USER, (TextPart("What is 2 + 3, and 2 * 3?"),))
TOOLS = (Tool("add"), Tool("multiply"), Tool("compare"))
FIRST = [("add", '{"a":2,"b":3}'), ("multiply", '{"a":2,"b":3}')]
SECOND = [("compare", '{"a":5,"b":6}')]
DETAIL = {"type": "reasoning.encrypted", "data": "b3BhcXVl", "index": 0}


class Spoken(NamedTuple):
    """A dialect: how its provider speaks, and what it has to be told of that afterwards."""

    plugin: DialectPlugin
    answers: list[bytes]
    """Reasoning and two calls, then one call, then text."""
    history: Callable[[Json], list[Any]]
    """The part of a request's body that holds the conversation behind the question."""
    kept: list[Any]
    """What it holds at last for the provider that said it."""
    opaque: tuple[str, ...]
    """What no other provider may be sent."""


def _openai_chat() -> Spoken:
    def calls(pairs: list[tuple[str, str]], start: int) -> list[Json]:
        return [
            chat_stream.piece(place, f"call_{start + place}", name, arguments)
            for place, (name, arguments) in enumerate(pairs)
        ]

    def turn(pairs: list[tuple[str, str]], start: int, **more: Any) -> Json:
        tool_calls = [
            {
                "id": f"call_{start + place}",
                "type": "function",
                "function": {"name": name, "arguments": arguments},
            }
            for place, (name, arguments) in enumerate(pairs)
        ]
        return {"role": "assistant", "content": None, "tool_calls": tool_calls, **more}

    def result(number: int) -> Json:
        return {"role": "tool", "tool_call_id": f"call_{number}", "content": f"result {number}"}

    thought = chat_stream.chunk({"reasoning": "Hm.", "reasoning_details": [DETAIL]})
    stop = chat_stream.chunk({}, "tool_calls")
    return Spoken(
        openai_chat.DIALECT,
        [
            chat_stream.sse(thought, chat_stream.calls(*calls(FIRST, 0)), stop) + chat_stream.DONE,
            chat_stream.sse(chat_stream.calls(*calls(SECOND, 2)), stop) + chat_stream.DONE,
            chat_stream.sse(chat_stream.text("6"), chat_stream.STOP) + chat_stream.DONE,
        ],
        lambda body: list(body["messages"][1:]),
        [
            turn(FIRST, 0, reasoning_details=[DETAIL]),
            *(result(0), result(1)),
            turn(SECOND, 2),
            result(2),
            {"role": "assistant", "content": "6"},
        ],
        ("b3BhcXVl",),
    )


def _openai_responses() -> Spoken:
    def items(pairs: list[tuple[str, str]], start: int) -> list[Json]:
        return [
            responses_stream.call(name, arguments, start + place)
            for place, (name, arguments) in enumerate(pairs)
        ]

    def call(name: str, arguments: str, number: int) -> Json:
        fields = {"call_id": f"call_{number}", "name": name, "arguments": arguments}
        return {"type": "function_call", **fields}

    def result(number: int) -> Json:
        fields = {"call_id": f"call_{number}", "output": f"result {number}"}
        return {"type": "function_call_output", **fields}

    def said(*output: Json) -> bytes:
        heads = [
            event
            for place, item in enumerate(output)
            for event in (responses_stream.added(item, place), responses_stream.done(item, place))
        ]
        return responses_stream.sse(*heads, responses_stream.completed(*output), named=True)

    thought = responses_stream.reasoning("Hm.", encrypted="gAAA")
    kept_thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm."}],
        "encrypted_content": "gAAA",
    }
    text = {"type": "output_text", "text": "6"}
    return Spoken(
        openai_responses.DIALECT,
        [
            said(thought, *items(FIRST, 0)),
            said(*items(SECOND, 2)),
            said(responses_stream.message("6")),
        ],
        lambda body: list(body["input"][1:]),
        [
            kept_thought,
            *(call(*pair, number) for number, pair in enumerate(FIRST)),
            *(result(0), result(1)),
            call(*SECOND[0], 2),
            result(2),
            {"type": "message", "role": "assistant", "content": [text]},
        ],
        ("gAAA", "rs_1"),
    )


def _tool_use(name: str, arguments: str, number: int) -> Json:
    fields = {"id": f"toolu_{number}", "name": name, "input": json.loads(arguments)}
    return {"type": "tool_use", **fields}


def _tool_results(*numbers: int) -> Json:
    content = [
        {
            "type": "tool_result",
            "tool_use_id": f"toolu_{number}",
            "content": [{"type": "text", "text": f"result {number}"}],
        }
        for number in numbers
    ]
    return {"role": "user", "content": content}


def _anthropic() -> Spoken:
    def blocks(pairs: list[tuple[str, str]], start: int, at: int) -> list[Json]:
        return [
            event
            for place, (name, arguments) in enumerate(pairs)
            for event in message_stream.call_block(
                at + place, f"toolu_{start + place}", name, "", arguments
            )
        ]

    def said(*events: Json, word: str = "tool_use") -> bytes:
        start, end = message_stream.message_start(), message_stream.message_end(word)
        return message_stream.sse(start, *events, *end)

    thinking = message_stream.thinking_block(0, "Hm.", "c2ln")
    redacted = message_stream.block_start(1, "redacted_thinking", data="c2VjcmV0")
    first = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        *(_tool_use(*pair, number) for number, pair in enumerate(FIRST)),
    ]
    return Spoken(
        anthropic.DIALECT,
        [
            said(*thinking, redacted, message_stream.block_stop(1), *blocks(FIRST, 0, 2)),
            said(*blocks(SECOND, 2, 0)),
            said(*message_stream.text_block(0, "6"), word="end_turn"),
        ],
        lambda body: list(body["messages"][1:]),
        [
            {"role": "assistant", "content": first},
            _tool_results(0, 1),
            {"role": "assistant", "content": [_tool_use(*SECOND[0], 2)]},
            _tool_results(2),
            {"role": "assistant", "content": [{"type": "text", "text": "6"}]},
        ],
        ("c2ln", "c2VjcmV0"),
    )


def _gemini() -> Spoken:
    def call(name: str, arguments: str, call_id: str, **more: Any) -> Json:
        return gemini_stream.call(name, json.loads(arguments), call_id, **more)

    def result(name: str, number: int, call_id: str) -> Json:
        response = {"id": call_id, "name": name, "response": {"output": f"result {number}"}}
        return {"functionResponse": response}

    ids = ["a1", "b2", "c3"]
    first = [
        call(*pair, call_id, **({"thoughtSignature": "c2ln"} if call_id == "a1" else {}))
        for pair, call_id in zip(FIRST, ids, strict=False)
    ]
    second = call(*SECOND[0], "c3", thoughtSignature="c2lnMg==")
    text = gemini_stream.text("6", thoughtSignature="c2lnMw==")
    thought = gemini_stream.thought("Hm.")
    return Spoken(
        gemini.DIALECT,
        [
            gemini_stream.sse(gemini_stream.chunk(thought, *first, finish="STOP")),
            gemini_stream.sse(gemini_stream.chunk(second, finish="STOP")),
            gemini_stream.sse(gemini_stream.chunk(text, finish="STOP")),
        ],
        lambda body: list(body["contents"][1:]),
        [
            {"role": "model", "parts": first},
            {"role": "user", "parts": [result("add", 0, "a1"), result("multiply", 1, "b2")]},
            {"role": "model", "parts": [second]},
            {"role": "user", "parts": [result("compare", 2, "c3")]},
            {"role": "model", "parts": [text]},
        ],
        ("c2ln", "c2lnMg==", "c2lnMw=="),
    )


SPOKEN = {
    "openai_chat": _openai_chat(),
    "openai_responses": _openai_responses(),
    "anthropic": _anthropic(),
    "gemini": _gemini(),
}
