"""Conversations through every dialect and back: ids, order and signatures survive; synthetic.

A model calls two tools at once, then a third with their results, then answers. What the caller
keeps of each answer, and sends back, has to reach the provider as the provider said it, and another
provider without what only the first can read.
"""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Route
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
from llmgateway_server.domain.events import ProviderEvent, StreamStart
from llmgateway_server.domain.fold import Fold
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderSettings
from support.conversations import FIRST, QUESTION, SECOND, SPOKEN, TOOLS, Spoken
from support.upstream import Conn, Upstream


def kept_of(events: Sequence[ProviderEvent]) -> tuple[Part, ...]:
    """What a caller keeps of an answer."""
    fold = Fold()
    fold.add(StreamStart("", "", Route("up", "m")))
    for event in events:
        fold.add(event)
    return fold.answer().parts


def results_of(parts: tuple[Part, ...], first: int) -> list[Message]:
    """A result for each call, in messages of their own."""
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    answers = [
        ToolResultPart(call.tool_call_id, (TextPart(f"result {first + place}"),))
        for place, call in enumerate(calls)
    ]
    return [Message(Role.TOOL, (answer,)) for answer in answers]


async def conversation(spoken: Spoken) -> tuple[list[Message], list[FinishReason]]:
    """Everything said up to the last answer, and how the answers ended."""
    answers = iter(spoken.answers)

    async def answer(conn: Conn) -> None:
        await conn.respond(200, next(answers), {"content-type": "text/event-stream"})

    messages, reasons, calls = [QUESTION], [], 0
    async with Upstream(answer) as upstream:
        settings = ProviderSettings("up", upstream.base_url, None, spoken.plugin.options())
        provider = spoken.plugin.create(settings)
        for _ in spoken.answers:
            request = GenerationRequest("", tuple(messages), tools=TOOLS)
            stream = await provider.open(request, "gemini-2.5-pro", Timers())
            events: list[ProviderEvent] = []
            while not events or not isinstance(events[-1], Finish):
                events += await stream.read()
            assert isinstance(events[-1], Finish)
            reasons.append(events[-1].reason)
            parts = kept_of(events)
            results = results_of(parts, calls)
            calls += len(results)
            messages += [Message(Role.ASSISTANT, parts), *results]
        await provider.shutdown()
    return messages, reasons


async def told(spoken: Spoken, name: str, messages: list[Message]) -> list[Any]:
    """What a provider of this name is told of a conversation that goes on."""

    async def answer(conn: Conn) -> None:
        await conn.respond(200, spoken.answers[-1], {"content-type": "text/event-stream"})

    async with Upstream(answer) as upstream:
        settings = ProviderSettings(name, upstream.base_url, None, spoken.plugin.options())
        provider = spoken.plugin.create(settings)
        request = GenerationRequest("", tuple(messages), tools=TOOLS)
        (await provider.open(request, "gemini-2.5-pro", Timers())).close()
        await provider.shutdown()
        (received,) = upstream.requests
        return spoken.history(received.json())


@pytest.mark.parametrize("dialect", SPOKEN)
async def test_a_conversation_with_tools_goes_back_as_it_was_said(dialect: str) -> None:
    spoken = SPOKEN[dialect]
    messages, reasons = await conversation(spoken)
    assert reasons == [FinishReason.TOOL_CALLS, FinishReason.TOOL_CALLS, reasons[-1]]
    assert any(isinstance(part, ReasoningPart) and part.text == "Hm." for part in messages[1].parts)
    history = await told(spoken, "up", [*messages, QUESTION])
    assert history[:-1] == spoken.kept


@pytest.mark.parametrize("dialect", SPOKEN)
async def test_another_provider_is_told_all_but_what_it_cannot_read(dialect: str) -> None:
    spoken = SPOKEN[dialect]
    messages, _ = await conversation(spoken)
    history = json.dumps(await told(spoken, "other", messages))
    assert not [secret for secret in spoken.opaque if secret in history]
    assert all(f"result {number}" in history for number in range(3))


@pytest.mark.parametrize("taught", SPOKEN)
@pytest.mark.parametrize("dialect", SPOKEN)
async def test_a_conversation_goes_on_in_any_other_dialect(dialect: str, taught: str) -> None:
    """The calls are all there, each before its result, under one id of the new provider's kind."""
    messages, _ = await conversation(SPOKEN[dialect])
    history = json.dumps(await told(SPOKEN[taught], "other", messages))
    places = [history.index(f'"{name}"') for name, _ in (*FIRST, *SECOND)]
    results = [history.index(f"result {number}") for number in range(3)]
    assert places[:2] == sorted(places[:2])
    assert results == sorted(results)
    assert places[1] < results[0] < results[1] < places[2] < results[2]
    assert not [secret for secret in SPOKEN[dialect].opaque if secret in history]


PNG = MediaPart("image/png", data=b"\x89PNG")
DATA = "iVBORw=="
URL = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}
# What each dialect is told of two calls, the first answered with a picture, the second not at all.
ANSWERED: dict[str, list[Any]] = {
    "openai_chat": [
        {"role": "tool", "tool_call_id": "a", "content": "seen"},
        {"role": "tool", "tool_call_id": "b", "content": "Error: no camera"},
        # Results hold text alone and follow their calls, so the picture waits for the last of them.
        {
            "role": "user",
            "content": [{"type": "text", "text": "Images in the result of a:"}, URL],
        },
    ],
    "openai_responses": [
        {
            "type": "function_call_output",
            "call_id": "a",
            "output": [
                {"type": "input_text", "text": "seen"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{DATA}"},
            ],
        },
        {"type": "function_call_output", "call_id": "b", "output": "Error: no camera"},
    ],
    "anthropic": [
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "a",
                    "content": [
                        {"type": "text", "text": "seen"},
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": DATA},
                        },
                    ],
                },
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "text", "text": "no camera"}],
                    "is_error": True,
                },
                {"type": "text", "text": "Go on"},
            ],
        },
    ],
    "gemini": [
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "a",
                        "name": "look",
                        "response": {"output": "seen"},
                    }
                },
                {
                    "functionResponse": {
                        "id": "b",
                        "name": "look",
                        "response": {"error": "no camera"},
                    }
                },
            ],
        },
        # The second generation takes no media inside of a result, nor anything beside it.
        {
            "role": "user",
            "parts": [
                {"text": "Media in the result of look:"},
                {"inlineData": {"mimeType": "image/png", "data": DATA}},
                {"text": "Go on"},
            ],
        },
    ],
}


@pytest.mark.parametrize("dialect", SPOKEN)
async def test_results_may_hold_pictures_and_errors(dialect: str) -> None:
    spoken = SPOKEN[dialect]
    calls = (ToolCallPart("a", "look", "{}"), ToolCallPart("b", "look", "{}"))
    results = (
        ToolResultPart("a", (TextPart("seen"), PNG)),
        ToolResultPart("b", (TextPart("no camera"),), is_error=True),
    )
    messages = [
        QUESTION,
        Message(Role.ASSISTANT, calls),
        Message(Role.TOOL, results),
        Message(Role.USER, (TextPart("Go on"),)),
    ]
    history = await told(spoken, "up", messages)
    wanted = ANSWERED[dialect]
    assert [each for each in history if each in wanted] == wanted
