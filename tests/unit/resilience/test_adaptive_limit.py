"""The adaptive limit of the gateway."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.resilience.adaptive_limit import AdaptiveLimit

SECONDS = st.sampled_from([0.0, 0.01, 0.5, 0.999, 1.0, 3.0])
STEP = st.one_of(
    st.tuples(st.just("pushed_back")),
    st.tuples(
        st.just("first_token"),
        st.sampled_from([0.0, 0.9, 1.0, 1.1, 4.0, 5.0]),
        st.sampled_from([None, 0.0, 0.1, 0.25, 1.0]),
    ),
    st.tuples(st.just("succeeded"), st.integers(0, 120)),
)
STEPS = st.lists(st.tuples(SECONDS, STEP), max_size=100)


def test_it_starts_at_most_and_goes_down_by_a_tenth() -> None:
    limit = AdaptiveLimit(100, 10)
    assert limit.value == 100

    limit.pushed_back(0)

    assert limit.value == 90


def test_it_goes_down_once_a_second_at_most_whatever_the_cause() -> None:
    limit = AdaptiveLimit(100, 10)
    for tenth in range(21):
        limit.pushed_back(tenth / 10)
        limit.first_token(60, 1, tenth / 10)

    assert limit.value == 72


def test_it_stays_at_the_least() -> None:
    limit = AdaptiveLimit(100, 64)
    for second in range(100):
        limit.pushed_back(second)

    assert limit.value == 64


@pytest.mark.parametrize(
    ("seconds", "usual", "value"),
    [
        (0.9, 0.1, 100),  # less than a second is never late
        (3.9, 1.0, 100),
        (4.0, 1.0, 100),
        (4.1, 1.0, 90),
        (1.1, 0.1, 90),
        (60.0, None, 100),
    ],
)
def test_a_late_first_token_takes_it_down(seconds: float, usual: float | None, value: int) -> None:
    limit = AdaptiveLimit(100, 10)

    limit.first_token(seconds, usual, 0)

    assert limit.value == value


def test_it_rises_by_one_a_success_if_half_of_it_is_in_use() -> None:
    limit = AdaptiveLimit(100, 10)
    limit.pushed_back(0)

    limit.succeeded(44)
    assert limit.value == 90
    limit.succeeded(45)
    assert limit.value == 91
    for _ in range(20):
        limit.succeeded(90)
    assert limit.value == 100


def test_the_most_wins_over_the_least() -> None:
    limit = AdaptiveLimit(4, 64)
    for second in range(10):
        limit.pushed_back(second)

    assert limit.value == 4


def test_time_that_goes_back_does_not_take_it_down_again() -> None:
    limit = AdaptiveLimit(100, 10)
    limit.pushed_back(50)
    limit.pushed_back(0)

    assert limit.value == 90


@given(most=st.integers(1, 200), least=st.integers(1, 200), steps=STEPS)
def test_it_is_the_product_of_its_history(
    most: int, least: int, steps: list[tuple[float, tuple[str, *tuple[float, ...]]]]
) -> None:
    limit = AdaptiveLimit(most, least)
    expected = most
    now = 0.0
    decreases: list[float] = []
    for seconds, (name, *details) in steps:
        now += seconds
        is_decrease = name == "pushed_back" or (
            name == "first_token"
            and details[1] is not None
            and details[0] > 1
            and details[0] > 4 * details[1]
        )
        moment = () if name == "succeeded" else (now,)
        getattr(limit, name)(*details, *moment)
        if is_decrease and all(now - before >= 1 for before in decreases):
            decreases.append(now)
            expected = max(min(least, most), math.floor(expected * 0.9))
        if name == "succeeded" and details[0] >= expected / 2:
            expected = min(most, expected + 1)
        assert limit.value == expected
        assert min(least, most) <= limit.value <= most
