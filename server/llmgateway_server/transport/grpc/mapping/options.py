"""What a request says besides its content: the same fields in every service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import Routing
from llmgateway_server.transport.grpc.mapping.violations import Violations

# An enum's own `values()` is a new list each time.
_CACHE_MODES = frozenset(pb.CacheMode.values())
_PRIORITIES = frozenset(pb.Priority.values())

_LONGEST_MODEL = 256
_MOST_LABELS = 16
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

    if proto.HasField("max_attempts") and proto.max_attempts < 1:
        found.add(f"{path}.max_attempts", "must be 1 or more")
    if proto.cache_mode not in _CACHE_MODES:
        found.add(f"{path}.cache_mode", "is none that this server knows")
    if proto.priority not in _PRIORITIES:
        found.add(f"{path}.priority", "is none that this server knows")
    return Routing(seconds("first_content_timeout"), seconds("idle_content_timeout"))


def refuse_cached_only(proto: pb.RoutingOptions) -> None:
    """Ends a call that wants an answer from the response cache or none.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, this gateway has no response cache.
    """
    if proto.cache_mode == pb.CACHE_MODE_ONLY:
        raise GatewayError(
            Reason.CAPABILITY_UNSUPPORTED,
            "cache_mode ONLY asks for a cached answer, and this gateway has no response cache",
            metadata=(("capability", "cache"),),
        )
