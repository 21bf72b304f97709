"""What the bridge's own JSON events hold; what is not known is left out, never null."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from llmgateway._errors import GatewayError
from llmgateway._response import FinishReason
from llmgateway.v1.generation_service_pb2 import Finish, Recovery
from llmgateway.v1.usage_pb2 import CacheStatus, Route, Usage

Document = dict[str, object]


def tool_call(tool_call_id: str, name: str, arguments_json: str) -> Document:
    """A tool call, complete. The arguments stay text: a model wrote them, and may have erred."""
    return {
        "tool_call_id": tool_call_id,
        "name": name,
        "arguments_json": arguments_json or "{}",
    }


def usage(used: Usage) -> Document:
    """Tokens of all attempts, and the cost in US dollars where the gateway knows the price."""
    content: Document = {
        "input_tokens": used.input_token_count,
        "output_tokens": used.output_token_count,
        "cached_input_tokens": used.cached_input_token_count,
        "cache_write_input_tokens": used.cache_write_input_token_count,
        "reasoning_tokens": used.reasoning_token_count,
        "is_estimated": used.is_estimated,
    }
    if used.HasField("cost_nano_usd"):
        content["cost_usd"] = used.cost_nano_usd / 1e9
    return content


def route(way: Route, finish: Finish, response_id: str, model: str) -> Document:
    """Which way the answer came, why it ended, and how long it took, in seconds."""
    content: Document = {
        "response_id": response_id,
        "model": model,
        "provider": way.provider,
        "provider_model": way.provider_model,
        "attempts": way.attempt_count,
        "cache": _cache_status(way.cache_status),
        "finish_reason": str(FinishReason.from_wire(finish.reason)),
    }
    texts = {
        "provider_finish_reason": finish.provider_reason,
        "stop_sequence": finish.stop_sequence,
        "provider_request_id": way.provider_request_id,
    }
    content.update((key, text) for key, text in texts.items() if text)
    if way.HasField("gateway_queue_duration"):
        content["queue_seconds"] = _seconds(way.gateway_queue_duration)
    if way.HasField("time_to_first_token"):
        content["time_to_first_token_seconds"] = _seconds(way.time_to_first_token)
    if finish.HasField("total_duration"):
        content["total_seconds"] = _seconds(finish.total_duration)
    return content


def restarted(recovery: Recovery, void: Sequence[str]) -> Document:
    """Another provider starts again: all that came in the streams of these ids is void."""
    cause = recovery.cause
    content: Document = {
        "void_stream_ids": list(void),
        "failed_provider": cause.provider,
        "failed_model": cause.model,
        "provider": recovery.route.provider,
        "provider_model": recovery.route.provider_model,
    }
    if cause.http_status:
        content["http_status"] = cause.http_status
    return content


def failure(error: GatewayError, response_id: str, *, partial: bool) -> Document:
    """The details of an error: the contract's reason and metadata, flat.

    `partial`: text of the answer was sent. `retry_after`: seconds.
    """
    content: Document = dict(error.metadata)
    content["reason"] = error.reason or error.code.name
    content["partial"] = partial
    if error.retry_after is not None:
        content["retry_after"] = error.retry_after
    if response_id or error.response_id:
        content["response_id"] = error.response_id or response_id
    if error.request_id:
        content["request_id"] = error.request_id
    if error.violations:
        content["violations"] = [
            f"{wrong.field}: {wrong.description}" for wrong in error.violations
        ]
    if error.attempts:
        content["attempts"] = [
            f"{attempt.provider}/{attempt.model}: {attempt.http_status or 'no answer'}"
            for attempt in error.attempts
        ]
    return content


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _cache_status(value: int) -> str:
    try:
        name = CacheStatus.Name(value)  # type: ignore[arg-type]  # a newer server's number
    except ValueError:
        return "unspecified"
    return name.removeprefix("CACHE_STATUS_").lower()
