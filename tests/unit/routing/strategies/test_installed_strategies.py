"""Strategies are found through their entry points, the built-in ones like any other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmgateway_server.routing.strategies import StrategyLoadError, installed_strategies
from llmgateway_server.routing.strategies.cost import Cost
from llmgateway_server.routing.strategies.least_latency import LeastLatency
from llmgateway_server.routing.strategies.priority import InOrder
from llmgateway_server.routing.strategies.round_robin import RoundRobin
from llmgateway_server.routing.strategies.weighted import Weighted
from support.candidates import WORK, candidate, models

BUILT_IN = {
    "cost": Cost,
    "least_latency": LeastLatency,
    "priority": InOrder,
    "round_robin": RoundRobin,
    "weighted": Weighted,
}


def install(directory: Path, entry: str) -> None:
    """What an installer leaves behind of a distribution with one strategy."""
    info = directory / "third_party-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[llmgateway.strategies]\n{entry}\n")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))


def test_the_built_in_ones_are_registered_like_any_other() -> None:
    assert installed_strategies().items() >= BUILT_IN.items()


def test_each_route_has_one_of_its_own() -> None:
    make = installed_strategies()["round_robin"]
    one, other = make(), make()
    asked = [candidate("a"), candidate("b")]
    assert models(one.order(asked, WORK)) == models(other.order(asked, WORK)) == "ab"


def test_a_strategy_of_another_distribution_is_found(site: Path) -> None:
    (site / "third_party_strategy.py").write_text(
        "class Backwards:\n    def order(self, candidates, work): return candidates[::-1]\n"
    )
    install(site, "backwards = third_party_strategy:Backwards")
    strategy = installed_strategies()["backwards"]()
    assert models(strategy.order([candidate("a"), candidate("b")], WORK)) == "ba"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("broken = no_such_module:Strategy", "cannot be imported"),
        ("broken = json:no_such_name", "cannot be imported"),
        ("broken = json:dumps", "cannot be made by a call without arguments"),
        ("broken = json:__name__", "cannot be made by a call without arguments"),
        ("broken = json:JSONDecoder", "is no strategy"),
        ("cost = json:JSONDecoder", "two installed distributions"),
    ],
)
def test_a_strategy_that_cannot_be_used_is_named(site: Path, entry: str, reason: str) -> None:
    install(site, entry)
    with pytest.raises(StrategyLoadError, match=reason) as raised:
        installed_strategies()
    assert entry.partition(" ")[0] in str(raised.value)
