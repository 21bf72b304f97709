"""What was said in a chat: the port of a store of it, the store in memory, and the framework's own.

The framework loses what the user asked: a session's interactions come without their prompts, and
its Python client sends none at all. So the agent keeps the turns itself, by the chat's activity id.
"""

from __future__ import annotations

import inspect
import time
from collections import OrderedDict
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmgateway._input import assistant, user
from llmgateway.sentient.conversation import history
from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.request import Interaction
from llmgateway.v1.content_pb2 import ROLE_USER, Message

LOST_PROMPT = "(What the user asked here is not known.)"
"""Stands for a prompt that the framework lost: models expect an answer to follow a question."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user asked, empty if that is lost, and what was answered."""

    prompt: str
    answer: str


class SessionStore(Protocol):
    """Keeps the turns of chats; the port for a store that replicas share.

    The activity id that names a chat is the client's word: who knows it goes on with that chat.
    """

    async def turns(self, activity_id: str) -> Sequence[Turn]:
        """The turns of a chat, oldest first; none of a chat that is not known."""
        ...

    async def append(self, activity_id: str, turns: Sequence[Turn]) -> None:
        """Adds turns to a chat, which need not be known yet."""
        ...


@dataclass(slots=True)
class _Chat:
    turns: Sequence[Turn]
    used_at: float


class MemorySessionStore:
    """Keeps chats in this process; the oldest are dropped beyond its bounds. For one event loop.

    Args:
        max_sessions: The most chats; beyond it the one goes that was not used for longest.
        max_turns: The most turns of a chat.
        max_characters: The most characters of a chat, prompts and answers together; a turn that is
            longer by itself is not kept.
        ttl: Seconds after its last use until a chat is dropped.
        now: A clock in seconds that never goes back.

    Raises:
        ValueError: a bound is not positive.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 1_000,
        max_turns: int = 50,
        max_characters: int = 50_000,
        ttl: float = 3_600.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        if min(max_sessions, max_turns, max_characters, ttl) <= 0:
            raise ValueError("the bounds of a session store are positive numbers")
        self._max_sessions = max_sessions
        self._max_turns = max_turns
        self._max_characters = max_characters
        self._ttl = ttl
        self._now = now
        # In the order of their last use.
        self._chats: OrderedDict[str, _Chat] = OrderedDict()

    def __len__(self) -> int:
        return len(self._chats)

    async def turns(self, activity_id: str) -> Sequence[Turn]:
        """The turns of a chat, oldest first; none of a chat that is not known."""
        self._expire()
        chat = self._chats.get(activity_id)
        if chat is None:
            return ()
        self._use(activity_id, chat.turns)
        return chat.turns

    async def append(self, activity_id: str, turns: Sequence[Turn]) -> None:
        """Adds turns to a chat, which need not be known yet."""
        self._expire()
        chat = self._chats.get(activity_id)
        kept = self._latest([*(chat.turns if chat else ()), *turns])
        if not kept:
            self._chats.pop(activity_id, None)
            return
        self._use(activity_id, kept)
        while len(self._chats) > self._max_sessions:
            self._chats.popitem(last=False)

    def _use(self, activity_id: str, turns: Sequence[Turn]) -> None:
        self._chats[activity_id] = _Chat(turns, self._now())
        self._chats.move_to_end(activity_id)

    def _expire(self) -> None:
        oldest = self._now() - self._ttl
        while self._chats and next(iter(self._chats.values())).used_at <= oldest:
            self._chats.popitem(last=False)

    def _latest(self, turns: Sequence[Turn]) -> tuple[Turn, ...]:
        kept: list[Turn] = []
        left = self._max_characters
        for turn in reversed(turns[-self._max_turns :]):
            left -= len(turn.prompt) + len(turn.answer)
            if left < 0:
                break
            kept.append(turn)
        return tuple(reversed(kept))


def messages_of(turns: Iterable[Turn]) -> Iterator[Message]:
    """The turns as a conversation, in which each answer follows a question."""
    for turn in turns:
        yield user(turn.prompt or LOST_PROMPT)
        if turn.answer:
            yield assistant(turn.answer)


async def turns_of(session: Any, options: EventOptions) -> list[Turn]:
    """The turns that the framework's session has, their prompts mostly lost.

    Only the answer's own streams count: what else an agent told, such as that it searches, is no
    part of the conversation.

    Args:
        session: Its `get_interactions` is declared to give an asynchronous iterator, and gives a
            list; both are read.
        options: What the events of the answers are called.

    Raises:
        pydantic.ValidationError: an interaction is none.
    """
    said = session.get_interactions()
    if inspect.isawaitable(said):
        said = await said
    if isinstance(said, AsyncIterable):
        said = [interaction async for interaction in said]
    return [turn for interaction in said for turn in _turns(interaction, options)]


def _turns(interaction: Any, options: EventOptions) -> Iterator[Turn]:
    ours = Interaction.model_validate(interaction, from_attributes=True)
    names = {options.text_event_name, "RESTARTED"}
    answers = [
        response
        for response in ours.responses
        if getattr(response.event, "event_name", "") in names
    ]
    ours = ours.model_copy(update={"responses": answers})
    prompt, answer = "", ""
    for message in history([ours], options=options):
        text = "\n\n".join(part.text for part in message.parts)
        if message.role == ROLE_USER:
            prompt = text
        else:
            answer = text
    if prompt or answer:
        yield Turn(prompt, answer)
