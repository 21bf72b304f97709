"""What a request says besides its content: the same fields in every service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import CacheMode, Priority, Routing
from llmgateway_server.transport.grpc.mapping.violations import Violations

CACHE_MODES = {
    pb.CACHE_MODE_UNSPECIFIED: CacheMode.DEFAULT,
    pb.CACHE_MODE_DEFAULT: CacheMode.DEFAULT,
    pb.CACHE_MODE_BYPASS: CacheMode.BYPASS,
    pb.CACHE_MODE_ONLY: CacheMode.ONLY,
}
PRIORITIES = {
    pb.PRIORITY_UNSPECIFIED: Priority.INTERACTIVE,
    pb.PRIORITY_INTERACTIVE: Priority.INTERACTIVE,
    pb.PRIORITY_BATCH: Priority.BATCH,
}

_LONGEST_MODEL = 256
_MOST_LABELS = 16
_MOST_PROVIDERS = 16
_LONGEST_TIMER = 1800.0


def model_from(model: str, path: str, found: Violations) -> str:
    """The name of a route or a model."""
    if len(model) > _LONGEST_MODEL:
        found.add(path, f"must have at most {_LONGEST_MODEL} characters")
    return model


def labels_from(
    labels: Mapping[str, str], path: str, found: Violations
) -> tuple[tuple[str, str], ...]:
    """The caller's own words, sorted by name."""
    if len(labels) > _MOST_LABELS:
        found.add(path, f"must have at most {_MOST_LABELS} entries")
    return tuple(sorted(labels.items()))


def provider_options_from(text: str, path: str, found: Violations) -> tuple[tuple[str, bytes], ...]:
    """The JSON text of each provider's own options, by the provider's name."""
    if not text:
        return ()
    members = found.json_object(path, text) or {}
    for name, value in members.items():
        found.json_object(f"{path}.{name}", bytes(value).decode())
    return tuple((name, bytes(value)) for name, value in members.items())


def routing_from(proto: pb.RoutingOptions, path: str, found: Violations) -> Routing:
    """Which way the caller wants its call to go."""

    def seconds(
        name: Literal["first_content_timeout", "idle_content_timeout"],
    ) -> float | None:
        if not proto.HasField(name):
            return None
        return found.seconds(f"{path}.{name}", getattr(proto, name), 0.001, _LONGEST_TIMER)

    order = tuple(proto.provider_order)
    if len(order) > _MOST_PROVIDERS or "" in order:
        found.add(f"{path}.provider_order", f"must be at most {_MOST_PROVIDERS}, none empty")
    limited = proto.HasField("max_attempts")
    if limited and proto.max_attempts < 1:
        found.add(f"{path}.max_attempts", "must be 1 or more")
    if proto.cache_mode not in CACHE_MODES:
        found.add(f"{path}.cache_mode", "is none that this server knows")
    if proto.priority not in PRIORITIES:
        found.add(f"{path}.priority", "is none that this server knows")
    return Routing(
        first_content_timeout=seconds("first_content_timeout"),
        idle_content_timeout=seconds("idle_content_timeout"),
        provider_order=order,
        disable_fallback=proto.disable_fallback,
        max_attempts=proto.max_attempts if limited else None,
        cache_mode=CACHE_MODES.get(proto.cache_mode, CacheMode.DEFAULT),
        priority=PRIORITIES.get(proto.priority, Priority.INTERACTIVE),
    )


def refuse_cached_only(routing: Routing) -> None:
    """Ends a call of another kind than a generation that wants a cached answer or none.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, only generations are cached.
    """
    if routing.cache_mode is CacheMode.ONLY:
        raise GatewayError(
            Reason.CAPABILITY_UNSUPPORTED,
            "cache_mode ONLY asks for a cached answer, and only generations are cached",
            metadata=(("capability", "cache"),),
        )
