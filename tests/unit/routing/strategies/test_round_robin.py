"""`round_robin` gives turns to targets, whoever of them is there."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.routing.strategies.round_robin import RoundRobin
from support.candidates import WORK, candidate, models


def first(strategy: RoundRobin, there: str, ill: str = "") -> str:
    """Who is asked first, of the targets that are there."""
    asked = [candidate(model, is_healthy=model not in ill) for model in there]
    return models(strategy.order(asked, WORK))[0]


def test_everyone_has_a_turn_and_the_next_one_stands_in() -> None:
    strategy = RoundRobin()
    asked = [candidate("a"), candidate("b"), candidate("c")]
    assert [models(strategy.order(asked, WORK)) for _ in range(4)] == ["abc", "bca", "cab", "abc"]


def test_while_one_is_missing_the_others_neither_stick_nor_skip() -> None:
    strategy = RoundRobin()
    there = ["abc", "abc", "ac", "ac", "ac", "ac"]
    assert [first(strategy, each) for each in there] == ["a", "b", "c", "a", "c", "a"]


def test_one_that_is_there_at_every_other_call_has_its_turns_and_nobody_elses() -> None:
    strategy = RoundRobin()
    turns = Counter(first(strategy, "ab" if call % 2 else "abc") for call in range(400))
    assert turns["c"] == 100
    assert turns["a"] == turns["b"] == 150


def test_one_that_comes_back_has_one_turn_and_not_all_that_it_missed() -> None:
    strategy = RoundRobin()
    for _ in range(50):
        first(strategy, "ab", ill="b")
    assert [first(strategy, "ab") for _ in range(4)] == ["b", "a", "b", "a"]


def test_who_is_not_healthy_is_last_even_when_it_is_its_turn() -> None:
    strategy = RoundRobin()
    asked = [candidate("a", is_healthy=False), candidate("b"), candidate("c")]
    assert [models(strategy.order(asked, WORK)) for _ in range(3)] == ["bca", "cba", "bca"]


def test_where_nobody_is_healthy_the_turns_go_on() -> None:
    strategy = RoundRobin()
    assert [first(strategy, "ab", ill="ab") for _ in range(3)] == ["a", "b", "a"]


@given(calls=st.lists(st.tuples(st.sets(st.sampled_from("cdef")), st.sets(st.sampled_from("cd")))))
def test_two_that_are_always_there_have_the_same_number_of_turns(
    calls: list[tuple[set[str], set[str]]],
) -> None:
    strategy = RoundRobin()
    turns: Counter[str] = Counter()
    for others, ill in calls:
        turns[first(strategy, "".join(sorted({"a", "b", *others})), "".join(ill))] += 1
        assert abs(turns["a"] - turns["b"]) <= 1


@given(calls=st.lists(st.sets(st.sampled_from("abcd"), min_size=1), max_size=60))
def test_nobody_waits_for_more_turns_than_there_are_others(calls: list[set[str]]) -> None:
    strategy = RoundRobin()
    waited: Counter[str] = Counter()
    for there in calls:
        chosen = first(strategy, "".join(sorted(there)))
        for each in there:
            waited[each] = 0 if each == chosen else waited[each] + 1
            assert waited[each] <= 3
