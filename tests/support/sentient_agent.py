"""One call of an agent with the Sentient framework's own handler, hook and session around it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sentient_agent_framework import DefaultHook, DefaultResponseHandler, Query
from sentient_agent_framework.implementation.default_session import DefaultSession
from sentient_agent_framework.interface.events import DoneEvent, TextChunkEvent
from sentient_agent_framework.interface.identity import Identity
from sentient_agent_framework.interface.session import SessionObject

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway.v1.errors_pb2 import AttemptFailure
from llmgateway.v1.usage_pb2 import Route
from support.scripted_gateway import ScriptedGateway

ID = "01JAAAAAAAAAAAAAAAAAAAAAAA"
RESTARTED = pb.GenerateStreamResponse(
    recovery=pb.Recovery(
        kind=pb.RECOVERY_KIND_RESTARTED,
        route=Route(provider="other", provider_model="large", attempt_count=2),
        cause=AttemptFailure(provider="demo", model="small", http_status=503),
    )
)


class Asked:
    """One call of `assist`, and the queue that its events go to."""

    def __init__(self, agent: Any, prompt: str, activity: str, interactions: list[Any]) -> None:
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        identity = Identity(id="a-processor", name=agent.name)
        self.handler = DefaultResponseHandler(identity, DefaultHook(self.queue))
        chat = {"processor_id": "a-processor", "activity_id": activity, "request_id": ID}
        session = DefaultSession(
            SessionObject.model_validate({**chat, "interactions": interactions})
        )
        query = Query.model_validate({"id": ID, "prompt": prompt})
        self.task = asyncio.create_task(agent.assist(session, query, self.handler))

    async def first(self, kind: type[Any]) -> Any:
        """The next event of a kind; those before it are dropped."""
        while not isinstance(event := await self.queue.get(), kind):
            pass
        return event

    def sent(self) -> list[Any]:
        """All events that are there, `done` being the last and only one of its kind."""
        events = []
        while not self.queue.empty():
            events.append(self.queue.get_nowait())
        assert [isinstance(event, DoneEvent) for event in events].index(True) == len(events) - 1
        return events


def shape(events: list[Any]) -> list[Any]:
    """Names and what is told, without ids; a stream's last chunk is None."""
    shown = []
    for event in events:
        if isinstance(event, TextChunkEvent):
            shown.append((event.event_name, None if event.is_complete else event.content))
        else:
            shown.append(event.event_name)
    return shown


async def events_of(
    agent: Any, prompt: str = "Hi", activity: str = ID, interactions: Sequence[Any] = ()
) -> list[Any]:
    """All events of a call that ends by itself."""
    asked = Asked(agent, prompt, activity, list(interactions))
    await asked.task
    return asked.sent()


def asked_of(gateway: ScriptedGateway) -> list[tuple[int, str]]:
    """The conversation of the last request."""
    return [(each.role, each.parts[0].text) for each in gateway.requests[-1].input.messages]
