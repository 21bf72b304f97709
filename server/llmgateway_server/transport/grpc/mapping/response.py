"""Stream events and answers to protobuf."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from llmgateway.v1 import errors_pb2, usage_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import (
    Answer,
    CacheStatus,
    Finish,
    FinishReason,
    Route,
    Usage,
)
from llmgateway_server.domain.errors import AttemptFailure
from llmgateway_server.domain.events import (
    Delta,
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.transport.grpc.mapping.content import part_to

FINISH_REASONS = {
    FinishReason.STOP: pb.FINISH_REASON_STOP,
    FinishReason.LENGTH: pb.FINISH_REASON_LENGTH,
    FinishReason.TOOL_CALLS: pb.FINISH_REASON_TOOL_CALLS,
    FinishReason.CONTENT_FILTER: pb.FINISH_REASON_CONTENT_FILTER,
    FinishReason.REFUSAL: pb.FINISH_REASON_REFUSAL,
    FinishReason.OTHER: pb.FINISH_REASON_OTHER,
}
CACHE_STATUSES = {
    CacheStatus.MISS: usage_pb2.CACHE_STATUS_MISS,
    CacheStatus.HIT: usage_pb2.CACHE_STATUS_HIT,
    CacheStatus.SHARED: usage_pb2.CACHE_STATUS_SHARED,
    CacheStatus.BYPASS: usage_pb2.CACHE_STATUS_BYPASS,
}
RECOVERY_KINDS = {
    RecoveryKind.CONTINUED: pb.RECOVERY_KIND_CONTINUED,
    RecoveryKind.RESTARTED: pb.RECOVERY_KIND_RESTARTED,
}

_ONE_BYTE = tuple(bytes((number,)) for number in range(128))


def encode(events: Sequence[StreamEvent]) -> bytes:
    """One stream message, serialised."""
    return message_to(events).SerializeToString()


def text_message(event: TextDelta) -> bytes:
    """What `encode` gives for one text delta, by hand in a sixth of the time."""
    text = event.text.encode()
    delta = b"\x0a" + _varint(len(text)) + text
    if event.part_index:
        delta += b"\x28" + _varint(event.part_index)
    return b"\x0a" + _varint(len(delta)) + delta


def _varint(number: int) -> bytes:
    """A base-128 varint, https://protobuf.dev/programming-guides/encoding/#varints."""
    if number < 128:
        return _ONE_BYTE[number]
    encoded = bytearray()
    while number >= 128:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def message_to(events: Sequence[StreamEvent]) -> pb.GenerateStreamResponse:
    """One stream message that holds these events; a Recovery only before their deltas."""
    message = pb.GenerateStreamResponse()
    for event in events:
        match event:
            case TextDelta() | ReasoningDelta() | SignatureDelta() | ToolCallDelta():
                _add_delta(message.deltas.add(), event)
            case StreamStart():
                message.start.response_id = event.response_id
                message.start.model = event.model
                message.start.route.CopyFrom(route_to(event.route))
            case Usage():
                message.usage.CopyFrom(usage_to(event))
            case Finish():
                message.finish.CopyFrom(finish_to(event))
            case Recovery():
                message.recovery.kind = RECOVERY_KINDS[event.kind]
                message.recovery.route.CopyFrom(route_to(event.route))
                message.recovery.cause.CopyFrom(attempt_to(event.cause))
    return message


def _add_delta(proto: pb.Delta, event: Delta) -> None:
    proto.part_index = event.part_index
    match event:
        case TextDelta():
            proto.text = event.text
        case ReasoningDelta():
            proto.reasoning = event.text
        case SignatureDelta():
            proto.reasoning_signature = event.signature
        case ToolCallDelta():
            call = proto.tool_call
            call.SetInParent()
            call.tool_call_id = event.tool_call_id
            call.name = event.name
            call.arguments_json = event.arguments_json


def answer_to(answer: Answer) -> pb.GenerateResponse:
    """A whole answer."""
    return pb.GenerateResponse(
        response_id=answer.response_id,
        model=answer.model,
        parts=[part_to(part) for part in answer.parts],
        finish=finish_to(answer.finish),
        usage=usage_to(answer.usage),
        route=route_to(answer.route),
    )


def finish_to(finish: Finish) -> pb.Finish:
    """The end of an answer."""
    return pb.Finish(
        reason=FINISH_REASONS[finish.reason],
        provider_reason=finish.provider_reason,
        stop_sequence=finish.stop_sequence,
        total_duration=_duration(finish.total_duration),
    )


def usage_to(usage: Usage) -> usage_pb2.Usage:
    """Tokens and money."""
    return usage_pb2.Usage(
        input_token_count=usage.input_token_count,
        output_token_count=usage.output_token_count,
        cached_input_token_count=usage.cached_input_token_count,
        cache_write_input_token_count=usage.cache_write_input_token_count,
        reasoning_token_count=usage.reasoning_token_count,
        cost_nano_usd=usage.cost_nano_usd,
        is_estimated=usage.is_estimated,
    )


def route_to(route: Route) -> usage_pb2.Route:
    """Who answers."""
    return usage_pb2.Route(
        provider=route.provider,
        provider_model=route.provider_model,
        attempt_count=route.attempt_count,
        cache_status=CACHE_STATUSES[route.cache_status],
        provider_request_id=route.provider_request_id,
        gateway_queue_duration=_duration(route.gateway_queue_duration),
        time_to_first_token=_duration(route.time_to_first_token),
    )


def attempt_to(attempt: AttemptFailure) -> errors_pb2.AttemptFailure:
    """A failed attempt."""
    return errors_pb2.AttemptFailure(
        provider=attempt.provider,
        model=attempt.model,
        http_status=attempt.http_status,
        provider_code=attempt.provider_code,
        provider_request_id=attempt.provider_request_id,
    )


def _duration(seconds: float) -> Duration:
    nanos = int(seconds * 1e9)
    return Duration(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)
