"""The cost benchmark's claim, and that it is what it says."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[4] / "benchmarks" / "cost_strategy.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cost_strategy", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_strategy_is_a_fifth_cheaper_than_any_target_that_serves_the_whole_mix(
    benchmark: ModuleType,
) -> None:
    asks, over = benchmark.draw(), benchmark.places()
    found = benchmark.compare(asks, over)
    assert found.saving >= 0.20
    # The bills again, from what was asked and who was asked first.
    mine = sum(c.place.candidate.prices.cost(c.ask.usage) for c in found.choices)
    assert mine == found.cost
    assert len(found.choices) == len(asks) == 1000
    for place in over:
        if all(benchmark.served(place, asks)) and place.candidate.prices is not None:
            alone = sum(place.candidate.prices.cost(ask.usage) for ask in asks)
            assert mine <= 0.8 * alone


def test_nobody_is_asked_who_cannot_serve_or_has_no_price(benchmark: ModuleType) -> None:
    found = benchmark.compare(benchmark.draw(), benchmark.places())
    for choice in found.choices:
        assert benchmark.served(choice.place, [choice.ask]) == [True]
        assert choice.place.candidate.prices is not None


def test_it_is_the_same_each_time(benchmark: ModuleType) -> None:
    random.seed(1)
    one = benchmark.draw()
    random.seed(2)
    assert benchmark.draw() == one


def test_the_exit_code_says_whether_it_saves_enough(
    benchmark: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark.main() == 0
    out = capsys.readouterr().out
    assert "Quality is not compared" in out
    assert "the cheapest target that can serve the whole mix alone (wanted: 20%)" in out
    found = benchmark.compare(benchmark.draw(), benchmark.places())
    assert benchmark.verdict(found, wanted=found.saving + 0.01) == 1
