"""A finished answer as bytes for a store, and as a stream once more."""

from __future__ import annotations

import zlib

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.answer import (
    Answer,
    CacheStatus,
    Finish,
    FinishReason,
    Route,
    Usage,
)
from llmgateway_server.domain.content import Part, ReasoningPart, TextPart, ToolCallPart
from llmgateway_server.domain.events import (
    ReasoningDelta,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)

# Raised with every change of what is written, so that entries of another version are misses.
_VERSION = b"\x01"
_CHECK = 4
_FINISHED = frozenset({FinishReason.STOP, FinishReason.LENGTH, FinishReason.TOOL_CALLS})


class _StoredPart(Struct, frozen=True, omit_defaults=True):
    """A part in the field of its kind: the domain's own values carry no tag."""

    text: TextPart | None = None
    reasoning: ReasoningPart | None = None
    tool_call: ToolCallPart | None = None


class _Entry(Struct, frozen=True, array_like=True):
    response_id: str
    model: str
    parts: tuple[_StoredPart, ...]
    finish: Finish
    usage: Usage
    route: Route


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Entry)


def is_storable(answer: Answer) -> bool:
    """Whether an answer may be kept: it came to its own end, and a replay can tell all of it."""
    return answer.finish.reason in _FINISHED and all(
        _is_replayable(part, answer.route.provider) for part in answer.parts
    )


def _is_replayable(part: Part, provider: str) -> bool:
    # A stream names nobody whose signature it is: who answers has signed.
    if isinstance(part, ReasoningPart):
        return part.signature_provider == provider or not (
            part.signature_provider or part.signature
        )
    return isinstance(part, TextPart | ToolCallPart)


def encode_entry(answer: Answer) -> bytes:
    """The answer as bytes: a version, a checksum and MessagePack.

    Raises:
        ValueError: a part is of a kind that no stream has.
    """
    entry = _Entry(
        answer.response_id,
        answer.model,
        tuple(map(_stored, answer.parts)),
        answer.finish,
        answer.usage,
        answer.route,
    )
    body = _ENCODER.encode(entry)
    return b"".join((_VERSION, zlib.crc32(body).to_bytes(_CHECK, "big"), body))


def decode_entry(data: bytes) -> Answer | None:
    """The answer, or None where the bytes are damaged or of another version."""
    check, body = data[1 : 1 + _CHECK], data[1 + _CHECK :]
    if data[:1] != _VERSION or check != zlib.crc32(body).to_bytes(_CHECK, "big"):
        return None
    try:
        entry = _DECODER.decode(body)
        parts = tuple(map(_part, entry.parts))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return Answer(entry.response_id, entry.model, parts, entry.finish, entry.usage, entry.route)


def _stored(part: Part) -> _StoredPart:
    match part:
        case TextPart():
            return _StoredPart(text=part)
        case ReasoningPart():
            return _StoredPart(reasoning=part)
        case ToolCallPart():
            return _StoredPart(tool_call=part)
        case _:
            raise ValueError(f"an answer has no {type(part).__name__}")


def _part(stored: _StoredPart) -> Part:
    part = stored.text or stored.reasoning or stored.tool_call
    if part is None:
        raise ValueError("a part without a kind")
    return part


def replay(answer: Answer, *, response_id: str, total_duration: float) -> list[StreamEvent]:
    """A stored answer as the stream of another call: one delta for each piece of a part.

    No provider was asked: the route counts no attempts, and the tokens cost nothing.

    Args:
        answer: A storable answer; the fold of the stream differs from it in its id, its route,
            its cost and its duration only.
        response_id: The id of the call that is answered now.
        total_duration: How long that call took, in seconds.
    """
    route = Route(
        answer.route.provider,
        answer.route.provider_model,
        attempt_count=0,
        cache_status=CacheStatus.HIT,
    )
    events: list[StreamEvent] = [StreamStart(response_id, answer.model, route)]
    for index, part in enumerate(answer.parts):
        match part:
            case TextPart():
                events.append(TextDelta(index, part.text))
            case ReasoningPart():
                is_signed = bool(part.signature or part.signature_provider)
                if part.text or not is_signed:
                    events.append(ReasoningDelta(index, part.text))
                if is_signed:
                    events.append(SignatureDelta(index, part.signature))
            case ToolCallPart():
                events.append(
                    ToolCallDelta(index, part.tool_call_id, part.name, part.arguments_json)
                )
            case _:
                raise ValueError(f"an answer has no {type(part).__name__}")
    events.append(replace(answer.usage, cost_nano_usd=0))
    events.append(replace(answer.finish, total_duration=total_duration))
    return events
