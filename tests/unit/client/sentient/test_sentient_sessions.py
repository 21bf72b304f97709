"""The store keeps what was said, within its bounds; and what the framework kept is read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.sessions import (
    LOST_PROMPT,
    MemorySessionStore,
    Turn,
    messages_of,
    turns_of,
)
from llmgateway.v1.content_pb2 import ROLE_ASSISTANT, ROLE_USER
from support.hand_clock import HandClock

OPTIONS = EventOptions()


def turn(number: int) -> Turn:
    return Turn(f"question {number}", f"answer {number}")


async def test_a_chat_is_kept_in_order_and_apart_from_others() -> None:
    store = MemorySessionStore()
    await store.append("a", [turn(1)])
    await store.append("b", [turn(2)])
    await store.append("a", [turn(3), turn(4)])
    assert list(await store.turns("a")) == [turn(1), turn(3), turn(4)]
    assert list(await store.turns("b")) == [turn(2)]
    assert list(await store.turns("c")) == []
    assert len(store) == 2


async def test_the_oldest_turns_go_first() -> None:
    store = MemorySessionStore(max_turns=2)
    await store.append("a", [turn(1), turn(2)])
    await store.append("a", [turn(3)])
    assert list(await store.turns("a")) == [turn(2), turn(3)]


async def test_a_turn_too_long_by_itself_is_not_kept_nor_what_was_before_it() -> None:
    store = MemorySessionStore(max_characters=10)
    await store.append("a", [Turn("12345", "12345")])
    assert await store.turns("a")
    await store.append("a", [Turn("12345", "123456")])
    assert list(await store.turns("a")) == []
    assert len(store) == 0


async def test_the_chat_that_was_not_used_for_longest_goes_first() -> None:
    store = MemorySessionStore(max_sessions=2)
    await store.append("a", [turn(1)])
    await store.append("b", [turn(2)])
    await store.turns("a")
    await store.append("c", [turn(3)])
    assert await store.turns("a")
    assert await store.turns("c")
    assert not await store.turns("b")


async def test_a_chat_lives_from_its_last_use() -> None:
    clock = HandClock()
    store = MemorySessionStore(ttl=10, now=clock.time)
    await store.append("a", [turn(1)])
    clock.now += 9
    assert await store.turns("a")
    clock.now += 9
    assert await store.turns("a")
    clock.now += 10
    assert not await store.turns("a")
    assert len(store) == 0


@pytest.mark.parametrize("bound", ["max_sessions", "max_turns", "max_characters", "ttl"])
def test_bounds_are_positive(bound: str) -> None:
    bounds: dict[str, Any] = {bound: 0}
    with pytest.raises(ValueError, match="positive"):
        MemorySessionStore(**bounds)


TURNS = st.builds(Turn, st.text(max_size=6), st.text(max_size=6))
STEPS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.lists(TURNS, max_size=4), st.integers(0, 6)), max_size=30
)


@given(STEPS)
def test_no_bound_is_ever_passed_and_what_is_kept_is_the_end_of_what_was_said(
    steps: list[tuple[str, list[Turn], int]],
) -> None:
    async def play() -> None:
        clock = HandClock()
        store = MemorySessionStore(
            max_sessions=2, max_turns=3, max_characters=20, ttl=10, now=clock.time
        )
        said: dict[str, list[Turn]] = {}
        for chat, turns, seconds in steps:
            clock.now += seconds
            await store.append(chat, turns)
            said.setdefault(chat, []).extend(turns)
            kept = list(await store.turns(chat))
            assert len(store) <= 2
            assert len(kept) <= 3
            assert sum(len(each.prompt) + len(each.answer) for each in kept) <= 20
            assert kept == said[chat][len(said[chat]) - len(kept) :]

    asyncio.run(play())


def test_turns_become_a_conversation_in_which_every_answer_has_its_question() -> None:
    turns = [Turn("", "an answer"), Turn("a question", ""), Turn("another", "and its answer")]
    messages = [(each.role, each.parts[0].text) for each in messages_of(turns)]
    assert messages == [
        (ROLE_USER, LOST_PROMPT),
        (ROLE_ASSISTANT, "an answer"),
        (ROLE_USER, "a question"),
        (ROLE_USER, "another"),
        (ROLE_ASSISTANT, "and its answer"),
    ]


class ContentType(str, Enum):  # noqa: UP042 - as the framework has it
    TEXT = "chunked.text"
    BLOCK = "atomic.textblock"


class Event(BaseModel):
    content_type: ContentType
    event_name: str
    content: str
    stream_id: str = ""
    is_complete: bool = False


class ResponseMessage(BaseModel):
    event: Event


class InteractionMessage(BaseModel):
    """What the framework leaves of a request."""

    sender: str | None = None


class Interaction(BaseModel):
    request: InteractionMessage
    responses: Sequence[ResponseMessage]


def chunk(text: str, *, name: str = "FINAL_RESPONSE", stream: str = "s") -> ResponseMessage:
    event = Event(
        content_type=ContentType.TEXT,
        event_name=name,
        content=text,
        stream_id=stream,
        is_complete=text == " ",
    )
    return ResponseMessage(event=event)


def block(name: str, text: str) -> ResponseMessage:
    return ResponseMessage(
        event=Event(content_type=ContentType.BLOCK, event_name=name, content=text)
    )


ANSWERED = Interaction(
    request=InteractionMessage(),
    responses=[
        block("SEARCH", "Searching..."),
        chunk("hm", name="REASONING", stream="r"),
        chunk("Hel"),
        chunk("lo"),
        chunk(" "),
    ],
)
ASKED = {
    "request": {"event": {"content": {"request_payload": {"parts": [{"prompt": "Hi"}]}}}},
    "responses": [],
}


class ListSession:
    """As the framework's session is: a list, given at once."""

    def __init__(self, interactions: list[Any]) -> None:
        self.interactions = interactions

    def get_interactions(self) -> list[Any]:
        return self.interactions


class DeclaredSession(ListSession):
    """As its protocol has it: a coroutine that gives an asynchronous iterator."""

    def get_interactions(self) -> Awaitable[AsyncIterator[Any]]:  # type: ignore[override]
        async def each() -> AsyncIterator[Any]:
            for interaction in self.interactions:
                yield interaction

        async def all_of_them() -> AsyncIterator[Any]:
            return each()

        return all_of_them()


@pytest.mark.parametrize("kind", [ListSession, DeclaredSession])
async def test_what_the_framework_kept_is_the_answer_alone(kind: type[ListSession]) -> None:
    session = kind([ANSWERED, ASKED])
    assert await turns_of(session, OPTIONS) == [Turn("", "Hello"), Turn("Hi", "")]


async def test_streams_are_told_by_their_configured_name() -> None:
    options = EventOptions(text_event_name="text_chunk")
    answered = Interaction(request=InteractionMessage(), responses=[chunk("Hi", name="text_chunk")])
    assert await turns_of(ListSession([ANSWERED, answered]), options) == [Turn("", "Hi")]


async def test_what_is_no_interaction_is_an_error() -> None:
    with pytest.raises(ValidationError):
        await turns_of(ListSession([{"request": {}}]), OPTIONS)
