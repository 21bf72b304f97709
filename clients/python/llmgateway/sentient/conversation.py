"""From the framework's chat to the contract's conversation, past prompts and answers included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from llmgateway._input import assistant, system, user
from llmgateway.sentient.events import EventOptions
from llmgateway.sentient.request import (
    Answered,
    AssistRequest,
    Document,
    Interaction,
    Session,
    TextBlock,
    TextChunk,
)
from llmgateway.v1.content_pb2 import Message
from llmgateway.v1.generation_service_pb2 import GenerationInput

MOST_MESSAGES = 2048
"""The contract's limit; the oldest turns are left out beyond it."""

LONGEST_LABEL = 128
"""Characters of a label's value. A processor id has no limit of its own, and goes to logs."""

_DEFAULTS = EventOptions()


def conversation_input(
    request: AssistRequest,
    *,
    model: str = "",
    instructions: str = "",
    options: EventOptions = _DEFAULTS,
) -> GenerationInput:
    """What to generate for a request: its history, then what the user asks now.

    Args:
        request: The request.
        model: A route's name or `provider/model`; empty: the gateway's default route.
        instructions: Instructions to the model, put first; empty: none.
        options: What the events of reasoning are called: they are no part of an answer.
    """
    past = request.session.interactions if request.session else []
    first = [system(instructions)] if instructions else []
    turns = [*history(past, options=options), user(request.query.prompt)]
    turns = turns[-(MOST_MESSAGES - len(first)) :]
    return GenerationInput(model=model, messages=[*first, *turns], labels=labels(request.session))


def history(
    interactions: Iterable[Interaction], *, options: EventOptions = _DEFAULTS
) -> Iterator[Message]:
    """The turns of earlier interactions: what the user asked, and what was answered.

    An answer is its streams of text and its text blocks, each one part, in the order in which they
    began. Left out is what was thought, what a restart made void, and turns without any text.
    """
    for interaction in interactions:
        prompts = _prompts(interaction)
        if prompts:
            yield user(*prompts)
        answer = _answer(interaction.responses, options.reasoning_event_name)
        if answer:
            yield assistant(*answer)


def labels(session: Session | None) -> dict[str, str]:
    """The session's ids as labels for the gateway's logs; they are the client's word, no proof."""
    if session is None:
        return {}
    ids = {
        "processor_id": session.processor_id[:LONGEST_LABEL],
        "activity_id": session.activity_id,
        "request_id": session.request_id,
    }
    return {name: value for name, value in ids.items() if value}


def _prompts(interaction: Interaction) -> list[str]:
    asked = interaction.request.event
    if asked is None:
        return []
    return [part.prompt for part in asked.content.request_payload.parts if part.prompt.strip()]


def _answer(responses: Sequence[Answered], reasoning_event_name: str) -> list[str]:
    texts: dict[str, list[str]] = {}
    void: set[object] = set()
    for number, response in enumerate(responses):
        event = response.event
        if isinstance(event, Document) and event.event_name == "RESTARTED":
            void |= _void(event)
        elif isinstance(event, TextBlock):
            texts[f"block {number}"] = [event.content]
        elif isinstance(event, TextChunk) and event.event_name != reasoning_event_name:
            texts.setdefault(event.stream_id, []).append(_text(event))
    joined = ("".join(pieces) for key, pieces in texts.items() if key not in void)
    return [text for text in joined if text.strip()]


def _void(event: Document) -> set[object]:
    ids = event.content.get("void_stream_ids")
    return set(map(str, ids)) if isinstance(ids, list) else set()


def _text(chunk: TextChunk) -> str:
    """The framework ends each stream with one space, which nobody wrote."""
    return "" if chunk.is_complete and chunk.content == " " else chunk.content
