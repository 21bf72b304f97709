"""Routers of GatewayAgent, good and bad. Run like check_agent.py."""

import logging
from collections.abc import Callable

import pytest

from llmgateway import AsyncClient, GenerationInput, Response, StreamOptions, user
from llmgateway.sentient.agent import GatewayAgent
from llmgateway.sentient.router import EventRouter, Events
from llmgateway.v1.content_pb2 import ROLE_ASSISTANT, ROLE_USER
from llmgateway.v1.generation_service_pb2 import RECOVERY_MODE_RESTART
from support.scripted_gateway import FINISH, START, Hang, ScriptedGateway, text
from support.sentient_agent import RESTARTED, asked_of, events_of, shape


class Shouting(EventRouter):
    """Adds events on both sides, and tells words whole and loud."""

    def __init__(self) -> None:
        self.held = ""

    async def before(self, prompt: str, generation: GenerationInput, events: Events) -> None:
        await events.text_block("SEARCH", "Searching")
        await events.document("SOURCES", {"results": [prompt]})
        generation.messages[-1].CopyFrom(user(f"{prompt}, from the sources"))
        generation.sampling.temperature = 0.25

    def on_delta(self, text: str) -> str:
        ready, _, self.held = f"{self.held}{text}".rpartition(" ")
        return f"{ready} ".upper() if ready else ""

    def on_restart(self) -> None:
        self.held = ""

    async def on_finish(self, response: Response, events: Events) -> None:
        await events.text(self.held.upper())
        await events.document("LENGTH", {"characters": len(response.text)})


async def test_a_router_adds_events_and_changes_text(
    gateway: ScriptedGateway, client: AsyncClient
) -> None:
    gateway.script = [START, text("void"), RESTARTED, text("one tw"), text("o three"), FINISH]
    options = StreamOptions(recovery=RECOVERY_MODE_RESTART)
    agent = GatewayAgent("Search Agent", client, router=Shouting, stream_options=options)
    events = await events_of(agent, "what?")
    assert shape(events) == [
        "SEARCH",
        "SOURCES",
        ("FINAL_RESPONSE", "ONE "),
        ("FINAL_RESPONSE", "TWO "),
        ("FINAL_RESPONSE", "THREE"),
        "LENGTH",
        ("FINAL_RESPONSE", None),
        "USAGE",
        "ROUTE",
        "done",
    ]
    assert events[0].content == "Searching"
    assert events[1].content == {"results": ["what?"]}
    assert gateway.requests[0].input.sampling.temperature == 0.25
    assert asked_of(gateway) == [(ROLE_USER, "what?, from the sources")]
    await events_of(agent, "and?")
    # The chat is what the user asked and saw.
    assert asked_of(gateway)[:2] == [(ROLE_USER, "what?"), (ROLE_ASSISTANT, "ONE TWO THREE")]


class BeforeFails(EventRouter):
    async def before(self, prompt: str, generation: GenerationInput, events: Events) -> None:
        await events.document("SOURCES", {"it": object()})


class DeltaFails(EventRouter):
    def on_delta(self, text: str) -> str:
        raise KeyError("a secret")


class FinishFails(EventRouter):
    async def on_finish(self, response: Response, events: Events) -> None:
        await events.text_block("A\nB", "text")


@pytest.mark.parametrize(
    ("router", "told"), [(BeforeFails, False), (DeltaFails, False), (FinishFails, True)]
)
async def test_an_agents_own_failure_is_logged_told_without_its_text_and_ends(
    router: Callable[[], EventRouter],
    told: bool,
    gateway: ScriptedGateway,
    client: AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    agent = GatewayAgent("Assistant", client, router=router)
    # Where it fails while the provider still writes, that must end as well.
    gateway.script = [START, text("Hel"), Hang() if router is DeltaFails else FINISH]
    with caplog.at_level(logging.ERROR):
        events = await events_of(agent)
    assert shape(events)[-2:] == ["error", "done"]
    error = events[-2].content
    assert (error.error_code, error.error_message) == (500, "the agent failed")
    assert error.details == {"reason": "AGENT_FAILED", "partial": told}
    assert [record.message for record in caplog.records] == ["agent Assistant failed"]
    gateway.wait_for_calls(0 if router is BeforeFails else 1, alive=0)
