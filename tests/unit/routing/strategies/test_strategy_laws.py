"""What holds for every strategy, whatever it is told of the candidates."""

import random
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.ports.strategy import Candidate, Strategy, Work
from llmgateway_server.routing.strategies.cost import Cost
from llmgateway_server.routing.strategies.least_latency import LeastLatency
from llmgateway_server.routing.strategies.priority import InOrder
from llmgateway_server.routing.strategies.round_robin import RoundRobin
from llmgateway_server.routing.strategies.weighted import Weighted
from support.candidates import below_one, candidates, works

Make = Callable[[Callable[[], float]], Strategy]


def chanceless(strategy: Callable[[], Strategy], random: Callable[[], float]) -> Strategy:
    del random
    return strategy()


EVERY: list[Make] = [
    partial(chanceless, InOrder),
    partial(chanceless, RoundRobin),
    partial(chanceless, Cost),
    Weighted,
    LeastLatency,
]
every = pytest.mark.parametrize(
    "make", EVERY, ids=["priority", "round_robin", "cost", "weighted", "least_latency"]
)
routes = st.lists(st.tuples(candidates, works), min_size=1, max_size=5)


@every
@given(calls=routes, seed=st.integers())
def test_all_candidates_come_out_once_and_the_healthy_ones_first(
    make: Make, calls: list[tuple[list[Candidate], Work]], seed: int
) -> None:
    strategy = make(random.Random(seed).random)
    for asked, work in calls:
        ordered = strategy.order(asked, work)
        # The very same objects, each of them once.
        assert sorted(map(id, ordered)) == sorted(map(id, asked))
        health = [each.is_healthy for each in ordered]
        assert health == sorted(health, reverse=True)


@every
@given(asked=candidates, work=works, number=below_one)
def test_no_number_below_one_is_too_much_chance(
    make: Make, asked: list[Candidate], work: Work, number: float
) -> None:
    ordered = make(lambda: number).order(asked, work)
    assert sorted(map(id, ordered)) == sorted(map(id, asked))


@every
@given(calls=routes, seed=st.integers())
def test_the_same_chance_gives_the_same_order_and_the_list_stays_as_it_was(
    make: Make, calls: list[tuple[list[Candidate], Work]], seed: int
) -> None:
    one, other = make(random.Random(seed).random), make(random.Random(seed).random)
    for asked, work in calls:
        before = list(asked)
        first = list(one.order(asked, work))
        # A tuple does as well, and nobody can change it.
        assert list(other.order(tuple(asked), work)) == first
        assert asked == before


@every
@given(asked=candidates.map(lambda some: some[:1]), work=works)
def test_one_candidate_is_an_order_of_its_own(
    make: Make, asked: list[Candidate], work: Work
) -> None:
    assert list(make(lambda: 0.5).order(asked, work)) == asked
