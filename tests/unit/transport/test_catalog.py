"""The catalogue says what is known of a model and how providers are now, nothing more."""

from typing import Any

import pytest

from llmgateway.v1 import catalog_service_pb2 as pb
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import (
    ModelEntry,
    ProviderEntry,
    ProviderState,
    ProviderStatus,
    RouteEntry,
    RouteTarget,
    Target,
)
from llmgateway_server.domain.timers import Timers
from llmgateway_server.routing.routes import RouteTable
from llmgateway_server.transport.grpc.catalog import STATES, CatalogHandlers

FACTS = Capabilities(
    context_window=1000,
    max_output=100,
    streaming=True,
    tools=True,
    images=False,
    json_schema=True,
    reasoning=False,
)
OPTIONAL = [
    "context_window_token_count",
    "max_output_token_count",
    "supports_streaming",
    "supports_tools",
    "supports_images",
    "supports_json_schema",
    "supports_reasoning",
]


# The handlers take no part in the call that they answer.
CALL: Any = None
ACTIVE = ProviderStatus(ProviderState.ACTIVE, since=0.0, in_flight=0)


async def model(name: str, *entries: ModelEntry) -> dict[str, Any]:
    """The optional fields of a model or of the route over all of them, None where unset."""
    targets = tuple(RouteTarget(entry.target) for entry in entries)
    table = RouteTable(
        routes=[RouteEntry("route", targets)],
        providers=[ProviderEntry("p", "openai_chat", passes_any_model=False, timers=Timers())],
        models=[entry for entry in entries if entry.target.model != "unlisted"],
    )
    handlers = CatalogHandlers(table, lambda _: ACTIVE)
    found: Any = (await handlers.get_model(pb.GetModelRequest(name=name), CALL)).model
    return {name: getattr(found, name) if found.HasField(name) else None for name in OPTIONAL}


def entry(name: str, **facts: Any) -> ModelEntry:
    return ModelEntry(Target("p", name), capabilities=Capabilities(**facts))


async def test_a_models_capabilities_are_told() -> None:
    told = await model("p/m", ModelEntry(Target("p", "m"), "M", capabilities=FACTS))
    assert list(told.values()) == [1000, 100, True, True, False, True, False]


async def test_what_is_not_known_is_unset() -> None:
    assert set((await model("p/m", entry("m"))).values()) == {None}


async def test_a_model_that_is_configured_not_to_stream_does_not() -> None:
    told = await model("p/m", entry("m", streaming=False))
    assert told["supports_streaming"] is False


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (True, None, True),
        (True, False, True),
        (False, False, False),
        (False, None, None),
        (None, None, None),
    ],
)
async def test_a_route_can_do_what_one_of_its_targets_can(
    one: bool | None, other: bool | None, together: bool | None
) -> None:
    told = await model("route", entry("a", images=one), entry("b", images=other))
    assert told["supports_images"] is together


async def test_a_routes_counts_are_the_largest() -> None:
    told = await model(
        "route", entry("a", context_window=10, max_output=5), entry("b", context_window=20)
    )
    assert (told["context_window_token_count"], told["max_output_token_count"]) == (20, 5)


async def test_a_route_to_a_model_that_nothing_lists_says_nothing() -> None:
    assert set((await model("route", entry("unlisted"))).values()) == {None}


def test_every_state_of_a_provider_has_its_word() -> None:
    assert set(STATES) == set(ProviderState)
    assert set(STATES.values()) == set(pb.ProviderState.values()) - {0}


async def test_a_providers_state_is_that_of_the_moment() -> None:
    providers = [
        ProviderEntry(name, "openai_chat", passes_any_model=True, timers=Timers())
        for name in ("b", "a")
    ]
    status = {"a": ACTIVE, "b": ProviderStatus(ProviderState.CIRCUIT_OPEN, 1.7e9 + 0.25, 3)}
    handlers = CatalogHandlers(RouteTable([], providers, []), status.__getitem__)
    listed = (await handlers.list_providers(pb.ListProvidersRequest(), CALL)).providers
    assert [(each.name, each.state) for each in listed] == [
        ("a", pb.PROVIDER_STATE_ACTIVE),
        ("b", pb.PROVIDER_STATE_CIRCUIT_OPEN),
    ]
    assert listed[1].state_change_time.ToMilliseconds() == 1_700_000_000_250
    assert listed[1].in_flight_request_count == 3
    status["b"] = ProviderStatus(ProviderState.DEGRADED, 1.7e9 + 9, 0)
    got = (await handlers.get_provider(pb.GetProviderRequest(name="b"), CALL)).provider
    assert (got.state, got.in_flight_request_count) == (pb.PROVIDER_STATE_DEGRADED, 0)
    assert got.state_change_time.ToSeconds() == 1_700_000_009
