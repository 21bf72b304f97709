"""`weighted` asks by chance, in proportion to the weights."""

import itertools
import math
import random
from collections import Counter

import pytest

from llmgateway_server.ports.strategy import Candidate
from llmgateway_server.routing.strategies.weighted import Weighted
from support.candidates import WORK, candidate, drawn, models

CALLS = 20_000


def shares(asked: list[Candidate]) -> dict[str, float]:
    """How often each order comes out."""
    strategy = Weighted(random.Random(7).random)
    orders = Counter(models(strategy.order(asked, WORK)) for _ in range(CALLS))
    return {order: count / CALLS for order, count in orders.items()}


def within(probability: float) -> float:
    """Four standard deviations of a share, which chance leaves once in 16,000 times."""
    return 4 * math.sqrt(probability * (1 - probability) / CALLS)


@pytest.mark.parametrize("scale", [1.0, 5e-324, 1e-300, 1e307])
def test_the_whole_order_is_drawn_without_putting_back(scale: float) -> None:
    weights = {"a": 6.0 * scale, "b": 3.0 * scale, "c": 1.0 * scale}
    found = shares([candidate(model, weight=weight) for model, weight in weights.items()])
    for order in itertools.permutations(weights):
        left, expected = 10.0, 1.0
        for model in order:
            share = weights[model] / scale
            expected *= share / left
            left -= share
        assert found["".join(order)] == pytest.approx(expected, abs=within(expected))


def test_weight_zero_is_asked_only_after_all_others() -> None:
    asked = [candidate("a", weight=0.0), candidate("b", weight=1e-9), candidate("c", weight=0.0)]
    assert shares(asked) == {"bac": 1.0}


def test_one_of_weight_zero_stands_in_before_one_that_is_not_healthy() -> None:
    asked = [candidate("a", weight=5.0, is_healthy=False), candidate("b", weight=0.0)]
    assert shares(asked) == {"ba": 1.0}


def test_among_those_that_are_not_healthy_weights_count_too() -> None:
    asked = [candidate(model, weight=w, is_healthy=False) for model, w in (("a", 3.0), ("b", 1.0))]
    assert shares(asked)["ab"] == pytest.approx(0.75, abs=within(0.75))


def test_no_finite_weight_is_drawn_beside_one_that_is_beyond_comparison() -> None:
    asked = [candidate("a", weight=1e-300), candidate("b", weight=math.inf)]
    assert shares(asked) == {"ba": 1.0}


def test_chance_decides_and_nothing_else() -> None:
    asked = [candidate("a"), candidate("b")]
    assert models(Weighted(drawn(0.2, 0.1)).order(asked, WORK)) == "ba"
    assert models(Weighted(drawn(0.1, 0.2)).order(asked, WORK)) == "ab"
    assert models(Weighted(drawn(0.0, 0.0)).order(asked, WORK)) == "ab"
