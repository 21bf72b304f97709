"""The hooks of an agent: what an answer says besides, or instead of, what the model says.

A search agent, whose events are SEARCH, SOURCES, IMAGES and FINAL_RESPONSE:

    class Search(EventRouter):
        async def before(self, prompt, generation, events):
            await events.text_block("SEARCH", "Searching internet for results...")
            found = await search(prompt)
            if found.results:
                await events.document("SOURCES", {"results": found.results})
            if found.images:
                await events.document("IMAGES", {"images": found.images})
            generation.messages[-1].CopyFrom(user(f"Answer {prompt} from {found.results}"))

    GatewayAgent("Search Agent", client, router=Search)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from llmgateway._response import Response
from llmgateway.v1.generation_service_pb2 import GenerationInput


class Events(Protocol):
    """Where a router's events go. Names stand on a line of their own: printable, not empty."""

    async def text_block(self, name: str, text: str) -> None:
        """Sends a whole text as one event; nothing for an empty one, which clients fail on."""
        ...

    async def document(self, name: str, content: Mapping[str, object]) -> None:
        """Sends a JSON object as one event.

        Raises:
            TypeError, ValueError: it is not JSON.
        """
        ...

    async def text(self, text: str) -> None:
        """Adds to the text of the answer, which `on_delta` does not see."""
        ...


class EventRouter:
    """Does nothing; override what is needed. Made anew for every request, so it may keep state.

    An exception ends the answer: it is logged, and the client gets an error 500 without its text.
    """

    async def before(self, prompt: str, generation: GenerationInput, events: Events) -> None:
        """Before the gateway is asked.

        Args:
            prompt: What the user asks.
            generation: What the gateway will be asked; may be changed. Its last message is the
                user's, and in the chat's history stays `prompt`, whatever becomes of that message.
            events: Where events go.
        """

    def on_delta(self, text: str) -> str:
        """The text to tell for more text of the model; empty to hold it back, or to drop it."""
        return text

    def on_restart(self) -> None:
        """All text so far is void, and so is what was held back: another provider starts again."""

    async def on_finish(self, response: Response, events: Events) -> None:
        """The model is done and its text not yet closed: `events.text` tells what was held back."""
