"""The hedge budget of a route."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.resilience.hedge_budget import MOST_SAVED, HedgeBudget

SHARE = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 1.0]) | st.floats(0, 1)


def test_it_starts_empty_and_allows_one_call_in_twenty() -> None:
    budget = HedgeBudget(0.05)
    hedged = []
    for call in range(1, 101):
        budget.called()
        if budget.take():
            hedged.append(call)

    assert hedged == [20, 40, 60, 80, 100]


def test_without_a_share_nothing_is_hedged() -> None:
    budget = HedgeBudget(0.0)
    for _ in range(1000):
        budget.called()

    assert not budget.take()


def test_no_more_than_ten_hedges_are_saved_up() -> None:
    budget = HedgeBudget(0.5)
    for _ in range(1000):
        budget.called()

    assert sum(budget.take() for _ in range(100)) == 10


@given(share=SHARE, steps=st.lists(st.booleans(), max_size=400))
def test_hedges_never_exceed_their_share_of_the_calls(share: float, steps: list[bool]) -> None:
    budget = HedgeBudget(share)
    calls = hedges = 0
    for is_call in steps:
        if is_call:
            calls += 1
            budget.called()
        else:
            hedges += budget.take()
        assert hedges <= share * calls + 1e-9


@given(sixteenths=st.integers(0, 16), steps=st.lists(st.booleans(), max_size=400))
def test_it_allows_all_that_was_earned_and_not_spent(sixteenths: int, steps: list[bool]) -> None:
    budget = HedgeBudget(sixteenths / 16)
    saved = 0
    for is_call in steps:
        if is_call:
            budget.called()
            saved = min(saved + sixteenths, int(MOST_SAVED) * 16)
        else:
            assert budget.take() == (saved >= 16)
            saved -= 16 if saved >= 16 else 0


@pytest.mark.parametrize("share", [0.01, 0.03, 0.05, 0.07])
def test_a_long_run_uses_its_share(share: float) -> None:
    budget = HedgeBudget(share)
    hedges = 0
    for _ in range(100_000):
        budget.called()
        hedges += budget.take()

    assert hedges == pytest.approx(share * 100_000, abs=1)
