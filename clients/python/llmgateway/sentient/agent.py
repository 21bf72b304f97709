"""An agent of the Sentient Agent Framework that answers through the gateway.

from sentient_agent_framework import DefaultServer
from llmgateway import AsyncClient
from llmgateway.sentient.agent import GatewayAgent

client = AsyncClient("127.0.0.1:50051")
DefaultServer(GatewayAgent("Assistant", client, model="chat", system="Be brief.")).run()

Its events are those of `llmgateway.sentient.events`, but without metadata, heartbeats and bounded
memory for slow readers, for which the framework has no place; nor does its server tell an agent
that the client went away. The bridge (`llmgateway bridge`) has them all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Unpack

from llmgateway._aio import AsyncClient, AsyncStream
from llmgateway._errors import GatewayError
from llmgateway._events import Reasoning, Restarted, Text
from llmgateway._input import CallOptions, GenerationOptions, generation_input, user
from llmgateway._response import Response
from llmgateway.sentient import documents
from llmgateway.sentient.conversation import MOST_MESSAGES, labels
from llmgateway.sentient.emitter import Emitter
from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.request import Session as SessionIds
from llmgateway.sentient.router import EventRouter
from llmgateway.sentient.sessions import (
    MemorySessionStore,
    SessionStore,
    Turn,
    messages_of,
    turns_of,
)
from llmgateway.sentient.status_codes import http_status
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_MODE_CONTINUE,
    RECOVERY_MODE_UNSPECIFIED,
    GenerationInput,
    Recovery,
    StreamOptions,
)

try:
    from sentient_agent_framework import AbstractAgent, Query, ResponseHandler, Session
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "llmgateway.sentient.agent needs the Sentient Agent Framework:"
        " pip install 'llmgateway[sentient]'",
        name=error.name,
    ) from error

_log = logging.getLogger(__name__)
_EVENTS = EventOptions()


class GatewayAgent(AbstractAgent):  # type: ignore[misc]  # not installed where types are checked
    """Answers prompts with a model behind the gateway, history included.

    Args:
        name: The agent's name.
        client: The gateway. It stays the caller's to close.
        events: What the events of text are called.
        router: Makes the hooks of one request; see `EventRouter`.
        sessions: Where chats are kept.
        stream_options: How the gateway streams. Recovery is CONTINUE unless said otherwise: RESTART
            makes text void that was sent, and asks for a front end that knows our RESTARTED event.
        options: All that `client.stream` takes, such as `model`, `system` and `temperature`.
    """

    def __init__(
        self,
        name: str,
        client: AsyncClient,
        *,
        events: EventOptions = _EVENTS,
        router: Callable[[], EventRouter] = EventRouter,
        sessions: SessionStore | None = None,
        stream_options: StreamOptions | None = None,
        **options: Unpack[GenerationOptions],
    ) -> None:
        super().__init__(name)
        self._client = client
        self._events = events
        self._router = router
        self._sessions = MemorySessionStore() if sessions is None else sessions
        self._stream_options = StreamOptions()
        if stream_options is not None:
            self._stream_options.CopyFrom(stream_options)
        if self._stream_options.recovery == RECOVERY_MODE_UNSPECIFIED:
            self._stream_options.recovery = RECOVERY_MODE_CONTINUE
        self._options = options

    async def assist(
        self, session: Session, query: Query, response_handler: ResponseHandler
    ) -> None:
        """Answers a query. Whatever happens is told by events, of which `done` is the last.

        Cancelling it ends the call to the gateway.
        """
        emitter = Emitter(response_handler, self._events)
        try:
            await self._answer(session, query.prompt, emitter)
        except GatewayError as error:
            await _tell_failure(error, emitter)
        except asyncio.CancelledError:
            # An end without an error would pass for a whole answer.
            await emitter.fail("the agent was stopped", 499, _failed(emitter, "CANCELLED"))
            raise
        except Exception:
            _log.exception("agent %s failed", self.name)
            await emitter.fail("the agent failed", 500, _failed(emitter, "AGENT_FAILED"))
        finally:
            # Or the framework's server waits for ever.
            await emitter.end()

    async def _answer(self, session: Session, prompt: str, emitter: Emitter) -> None:
        activity_id = str(session.activity_id)
        past = list(await self._sessions.turns(activity_id))
        # Ours once they are kept: what the session has would be short of its prompts.
        fresh = [] if past else await turns_of(session, self._events)
        router = self._router()
        generation = self._generation(session, [*past, *fresh], prompt)
        await router.before(prompt, generation, emitter)
        try:
            async with self._stream(generation) as stream:
                await _tell(stream, router, emitter)
        finally:
            # A part of an answer counts as well: the user saw it.
            if emitter.told:
                fresh.append(Turn(prompt, emitter.told))
                await self._sessions.append(activity_id, fresh)

    def _generation(self, session: Session, past: list[Turn], prompt: str) -> GenerationInput:
        ids = SessionIds(
            processor_id=session.processor_id,
            activity_id=str(session.activity_id),
            request_id=str(session.request_id),
            interactions=[],
        )
        # Two messages a turn; the instructions and the prompt are two more.
        turns = past[-(MOST_MESSAGES // 2 - 1) :]
        messages = [*messages_of(turns), user(prompt)]
        return generation_input(
            GenerationInput(messages=messages, labels=labels(ids)), self._options
        )

    def _stream(self, generation: GenerationInput) -> AsyncStream:
        call: CallOptions = {}
        if "timeout" in self._options:
            call["timeout"] = self._options["timeout"]
        if "metadata" in self._options:
            call["metadata"] = self._options["metadata"]
        return self._client.stream(generation, stream_options=self._stream_options, **call)


async def _tell(stream: AsyncStream, router: EventRouter, emitter: Emitter) -> None:
    """Tells an answer while it comes, and last of all what it was."""
    model = ""
    async for event in stream:
        match event:
            case Text():
                await emitter.text(router.on_delta(event.text), event.part_index)
            case Reasoning():
                await emitter.reasoning(event.reasoning)
            case Restarted():
                model = f"{event.route.provider}/{event.route.provider_model}"
                await _restart(event, router, emitter)
    response = await stream.response()
    await router.on_finish(response, emitter)
    await emitter.close_streams()
    await _tell_outcome(response, model or response.model, emitter)


async def _restart(event: Restarted, router: EventRouter, emitter: Emitter) -> None:
    router.on_restart()
    if void := await emitter.restart():
        recovery = Recovery(route=event.route, cause=event.cause)
        await emitter.document("RESTARTED", documents.restarted(recovery, void))


async def _tell_outcome(response: Response, model: str, emitter: Emitter) -> None:
    for call in response.tool_calls:
        content = documents.tool_call(call.tool_call_id, call.name, call.arguments_json)
        await emitter.document("TOOL_CALL", content)
    if response.message.HasField("usage"):
        await emitter.document("USAGE", documents.usage(response.usage))
    finish = response.message.finish
    route = documents.route(response.route, finish, response.response_id, model)
    await emitter.document("ROUTE", route)


async def _tell_failure(error: GatewayError, emitter: Emitter) -> None:
    await emitter.close_streams()
    if error.usage is not None:
        await emitter.document("USAGE", documents.usage(error.usage))
    response_id = error.partial.response_id if error.partial else ""
    details = documents.failure(error, response_id, partial=bool(emitter.told))
    await emitter.fail(error.message or error.code.name, http_status(error.code), details)


def _failed(emitter: Emitter, reason: str) -> documents.Document:
    return {"reason": reason, "partial": bool(emitter.told)}
