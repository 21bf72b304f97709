"""`least_latency` asks the sooner done of two picks."""

import itertools
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.least_latency import LeastLatency
from support.candidates import WORK, below_one, candidate, candidates, drawn, models, works

FAST = candidate("f", time_to_first_token=0.2, time_per_token=0.01)
SLOW = candidate("s", time_to_first_token=2.0, time_per_token=0.05)


def answers(asked: list[Candidate], work: Work = WORK) -> set[str]:
    """All orders that chance can give."""
    picks = [number / 10 for number in range(10)]
    return {
        models(LeastLatency(drawn(*pair)).order(asked, work))
        for pair in itertools.product(picks, picks)
    }


def test_of_two_the_sooner_done_is_first_whatever_chance_says() -> None:
    assert answers([SLOW, FAST]) == {"fs"}


def test_what_is_sooner_done_depends_on_the_length_of_the_answer() -> None:
    talker = candidate("t", time_to_first_token=1.0, time_per_token=0.001)
    starter = candidate("s", time_to_first_token=0.1, time_per_token=0.02)
    assert answers([talker, starter], Work(10, 5)) == {"st"}
    assert answers([talker, starter], Work(10, 500)) == {"ts"}


def test_calls_in_flight_count_as_waiting() -> None:
    busy = candidate("f", time_to_first_token=0.2, time_per_token=0.01, in_flight=9)
    assert answers([busy, SLOW]) == {"sf"}


def test_a_target_that_never_answered_is_tried() -> None:
    assert answers([FAST, candidate("n")]) == {"nf"}


def test_calls_in_flight_spread_even_where_no_latency_is_known() -> None:
    asked = [candidate("a", in_flight=3), candidate("b", in_flight=1), candidate("c", in_flight=2)]
    assert {order[0] for order in answers(asked)} == {"b", "c"}
    nothing = candidate("z", time_to_first_token=0.0, time_per_token=0.0, in_flight=4)
    assert answers([nothing, candidate("a", in_flight=3)]) == {"za"}


def test_equals_share_the_calls() -> None:
    strategy = LeastLatency(random.Random(3).random)
    asked = [candidate(model) for model in "abcd"]
    firsts = Counter(models(strategy.order(asked, WORK))[0] for _ in range(4000))
    assert all(900 < count < 1100 for count in firsts.values())


def test_the_best_of_many_does_not_get_all_calls_and_the_worst_gets_none() -> None:
    strategy = LeastLatency(random.Random(3).random)
    asked = [candidate(str(n), time_to_first_token=1.0 + n) for n in range(4)]
    firsts = Counter(models(strategy.order(asked, WORK))[0] for _ in range(6000))
    # Of the six pairs three hold the best, two more the second, one more the third.
    assert 2850 < firsts["0"] < 3150
    assert 1850 < firsts["1"] < 2150
    assert 850 < firsts["2"] < 1150
    assert firsts["3"] == 0


def test_the_rest_follow_by_the_same_score() -> None:
    asked = [candidate(str(n), time_to_first_token=4.0 - n) for n in range(4)]
    assert models(LeastLatency(drawn(0.0, 0.0)).order(asked, WORK)) == "1320"


def test_who_is_not_healthy_comes_after_the_slowest() -> None:
    quick = candidate("q", time_to_first_token=0.001, is_healthy=False)
    assert answers([quick, SLOW, FAST]) == {"fsq"}


@given(asked=candidates, work=works, one=below_one, other=below_one)
def test_the_first_is_never_the_worst_of_the_healthy_ones(
    asked: list[Candidate], work: Work, one: float, other: float
) -> None:
    well = [each for each in asked if each.is_healthy]
    if len(well) < 2:
        return
    ordered = LeastLatency(drawn(one, other, one, other)).order(asked, work)
    # Everyone but the first is sorted, so only the last can be worse than all.
    alone = LeastLatency(drawn(0.0, 0.0)).order([ordered[0], ordered[len(well) - 1]], work)
    assert alone[0] is ordered[0]


@given(in_flight=st.lists(st.integers(0, 50), min_size=2, max_size=6), seed=st.integers())
def test_calls_that_never_end_are_spread_over_equals(in_flight: list[int], seed: int) -> None:
    strategy = LeastLatency(random.Random(seed).random)
    counts = list(in_flight)
    for _ in range(60 * len(counts)):
        asked = [candidate(str(n), in_flight=count) for n, count in enumerate(counts)]
        counts[int(strategy.order(asked, WORK)[0].target.model)] += 1
    assert max(counts) - min(counts) <= 12
