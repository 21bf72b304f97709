"""From the model that a caller names to the target that answers."""

import pytest

from llmgateway_server.domain.catalog import (
    ModelEntry,
    ProviderEntry,
    RouteEntry,
    RouteTarget,
    Target,
)
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Routing
from llmgateway_server.domain.timers import Timers
from llmgateway_server.routing.routes import RouteTable

SLOW = Timers(first_content=300.0)
TABLE = RouteTable(
    routes=[RouteEntry("chat", (RouteTarget(Target("openai", "gpt-5"), SLOW),))],
    providers=[
        ProviderEntry("openai", "openai_chat", passes_any_model=False, timers=Timers()),
        ProviderEntry("local", "openai_chat", passes_any_model=True, timers=Timers()),
    ],
    models=[ModelEntry(Target("openai", "gpt-5"))],
    default_route="chat",
)

ANYHOW = Routing()


def ask(model: str, routing: Routing = ANYHOW) -> GenerationRequest:
    return GenerationRequest(model, (Message(Role.USER, (TextPart("hi"),)),), routing=routing)


def test_a_route_leads_to_its_target_with_its_timers() -> None:
    resolution = TABLE.resolve(ask("chat"))
    assert resolution.places == (RouteTarget(Target("openai", "gpt-5"), SLOW),)
    assert (resolution.entry.name, resolution.is_route) == ("chat", True)


def test_no_model_means_the_default_route() -> None:
    assert TABLE.resolve(ask("")).entry.name == "chat"


def test_a_target_can_be_named_itself() -> None:
    resolution = TABLE.resolve(ask("openai/gpt-5"))
    assert [place.target for place in resolution.places] == [Target("openai", "gpt-5")]
    assert not resolution.is_route


def test_a_provider_without_a_list_takes_any_model() -> None:
    (place,) = TABLE.resolve(ask("local/org/x:7b")).places
    assert place.target == Target("local", "org/x:7b")


def test_a_plain_model_name_leads_to_everyone_who_lists_it() -> None:
    providers = [
        ProviderEntry(name, "openai_chat", passes_any_model=False, timers=Timers())
        for name in ("one", "two")
    ]
    models = [ModelEntry(Target("one", "m")), ModelEntry(Target("two", "m"))]
    resolution = RouteTable([], providers, models).resolve(ask("m"))
    assert [place.target.name for place in resolution.places] == ["one/m", "two/m"]
    assert resolution.is_route


def test_a_target_goes_before_a_model_of_the_same_name() -> None:
    """Aggregators call their models as the targets of others are called."""
    models = [*TABLE.models.values(), ModelEntry(Target("local", "openai/gpt-5"))]
    table = RouteTable([], TABLE.providers.values(), models)
    (place,) = table.resolve(ask("openai/gpt-5")).places
    assert place.target == Target("openai", "gpt-5")


@pytest.mark.parametrize("model", ["openai/gpt-6", "nobody/x", "gpt-6", "local/", "/x"])
def test_a_name_that_leads_nowhere_is_not_found(model: str) -> None:
    with pytest.raises(GatewayError) as caught:
        TABLE.resolve(ask(model))
    assert caught.value.reason is Reason.MODEL_NOT_FOUND


def test_a_misspelt_name_is_told_its_neighbour() -> None:
    with pytest.raises(GatewayError, match='did you mean "chat"'):
        TABLE.resolve(ask("chta"))


def test_no_model_without_a_default_route_is_the_callers_to_mend() -> None:
    table = RouteTable([], TABLE.providers.values(), [])
    with pytest.raises(GatewayError) as caught:
        table.resolve(ask(""))
    assert caught.value.reason is Reason.REQUEST_INVALID
    assert caught.value.violations[0].field == "input.model"


def test_the_callers_timers_go_before_the_routes() -> None:
    timers = TABLE.resolve(ask("chat", Routing(2.0, 3.0))).places[0].timers
    assert (timers.first_content, timers.idle_content) == (2.0, 3.0)
    assert timers.idle_bytes == SLOW.idle_bytes
