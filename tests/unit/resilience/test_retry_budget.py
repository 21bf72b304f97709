"""The retry budget of a target."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.resilience.retry_budget import BACKPRESSURE_COST, FAULT_COST, RetryBudget

AMOUNT = st.sampled_from([0, 0.5, 1, BACKPRESSURE_COST, FAULT_COST, 100, 1000])
STEPS = st.lists(st.tuples(st.sampled_from(["take", "give"]), AMOUNT), max_size=200)


def test_it_starts_full_and_pays_for_35_retries_after_faults() -> None:
    budget = RetryBudget()
    assert budget.left == 500

    assert sum(budget.take(FAULT_COST) for _ in range(100)) == 35
    assert budget.left == 10


def test_it_pays_for_100_retries_after_backpressure() -> None:
    budget = RetryBudget()

    assert sum(budget.take(BACKPRESSURE_COST) for _ in range(200)) == 100


def test_what_it_cannot_pay_leaves_it_unchanged() -> None:
    budget = RetryBudget(20)
    assert budget.take(14)

    assert not budget.take(14)
    assert budget.left == 6
    assert budget.take(5)


def test_successes_fill_it_up_to_its_capacity() -> None:
    budget = RetryBudget(20)
    budget.give(1)
    assert budget.left == 20

    budget.take(14)
    budget.give(1)
    assert budget.left == 7


@given(capacity=st.integers(0, 50).map(lambda tens: tens * 10), steps=STEPS)
def test_it_is_a_sum_with_bounds(capacity: int, steps: list[tuple[str, float]]) -> None:
    budget = RetryBudget(capacity)
    left = Fraction(capacity)
    for step, amount in steps:
        if step == "take":
            assert budget.take(amount) == (amount <= left)
            left -= Fraction(amount) if amount <= left else 0
        else:
            budget.give(amount)
            left = min(left + Fraction(amount), Fraction(capacity))
        assert budget.left == left
        assert 0 <= budget.left <= capacity


@given(outcomes=st.lists(st.sampled_from(["fault", "backpressure", "success"]), max_size=500))
def test_retries_are_never_more_than_the_bucket_and_the_successes_pay_for(
    outcomes: list[str],
) -> None:
    budget = RetryBudget()
    spent = 0
    for outcome in outcomes:
        if outcome == "success":
            budget.give(1)
        else:
            cost = FAULT_COST if outcome == "fault" else BACKPRESSURE_COST
            spent += cost * budget.take(cost)
    assert spent <= 500 + outcomes.count("success")
