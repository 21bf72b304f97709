"""The stream as typed events. Each has `text`, empty where the event is something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from llmgateway._response import FinishReason
from llmgateway.v1.errors_pb2 import AttemptFailure
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_KIND_CONTINUED,
    RECOVERY_KIND_RESTARTED,
    Delta,
    GenerateStreamResponse,
)
from llmgateway.v1.usage_pb2 import Route, Usage


@dataclass(frozen=True, slots=True)
class Start:
    """The answer begins: its id (a ULID), who gives it as `provider/model`, and the route."""

    text: ClassVar[str] = ""
    response_id: str
    model: str
    route: Route


@dataclass(frozen=True, slots=True)
class Text:
    """More text. Boundaries mean nothing: neither a token nor a word."""

    text: str
    part_index: int = 0


@dataclass(frozen=True, slots=True)
class Reasoning:
    """More of what the model thinks, or a piece of the provider's signature of it."""

    text: ClassVar[str] = ""
    reasoning: str
    signature: bytes = b""
    part_index: int = 0


@dataclass(frozen=True, slots=True)
class ToolCallFragment:
    """A piece of a tool call.

    The id and the name come with a part's first fragment only; `arguments_json` is JSON only once
    all fragments of the part are put together, as `Response.tool_calls` has them.
    """

    text: ClassVar[str] = ""
    tool_call_id: str
    name: str
    arguments_json: str
    part_index: int = 0


@dataclass(frozen=True, slots=True)
class Continued:
    """The provider failed and another one goes on; what came before stays."""

    text: ClassVar[str] = ""
    route: Route
    cause: AttemptFailure


@dataclass(frozen=True, slots=True)
class Restarted:
    """The provider failed and another one starts again: drop everything that came before."""

    text: ClassVar[str] = ""
    route: Route
    cause: AttemptFailure


@dataclass(frozen=True, slots=True)
class UsageUpdate:
    """The usage so far; replaces the one before."""

    text: ClassVar[str] = ""
    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of the answer; always the last event. `provider_reason` is the provider's word."""

    text: ClassVar[str] = ""
    reason: FinishReason
    provider_reason: str = ""


Event = Start | Text | Reasoning | ToolCallFragment | Continued | Restarted | UsageUpdate | Finished


def events_of(message: GenerateStreamResponse) -> Iterator[Event]:
    """The events of one message, in the order in which they apply; none for a heartbeat."""
    if message.HasField("start"):
        yield Start(message.start.response_id, message.start.model, message.start.route)
    if message.HasField("recovery"):
        recovery = message.recovery
        if recovery.kind == RECOVERY_KIND_RESTARTED:
            yield Restarted(recovery.route, recovery.cause)
        elif recovery.kind == RECOVERY_KIND_CONTINUED:
            yield Continued(recovery.route, recovery.cause)
    for delta in message.deltas:
        yield from _delta_events(delta)
    if message.HasField("usage"):
        yield UsageUpdate(message.usage)
    if message.HasField("finish"):
        reason = FinishReason.from_wire(message.finish.reason)
        yield Finished(reason, message.finish.provider_reason)


def _delta_events(delta: Delta) -> Iterator[Event]:
    match delta.WhichOneof("delta"):
        case "text":
            yield Text(delta.text, delta.part_index)
        case "reasoning":
            yield Reasoning(delta.reasoning, part_index=delta.part_index)
        case "reasoning_signature":
            yield Reasoning("", delta.reasoning_signature, delta.part_index)
        case "tool_call":
            call = delta.tool_call
            yield ToolCallFragment(
                call.tool_call_id, call.name, call.arguments_json, delta.part_index
            )
        case None:  # a kind newer than this client
            return
