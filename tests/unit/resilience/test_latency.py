"""What a target usually takes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.resilience.latency import PeakEwma, Quantile

TIMES = st.sampled_from([0.0, 0.1, 0.5, 1.0, 10.0, 30.0, 1000.0])
SAMPLES = st.floats(0, 1000)
HISTORY = st.lists(st.tuples(TIMES, SAMPLES), min_size=1, max_size=50)


def fed(history: list[tuple[float, float]]) -> tuple[PeakEwma, float]:
    average, now = PeakEwma(), 0.0
    for seconds, sample in history:
        now += seconds
        average.observe(sample, now)
    return average, now


def value(average: PeakEwma, now: float) -> float:
    current = average.value(now)
    assert current is not None
    return current


def test_without_a_sample_there_is_no_average() -> None:
    assert PeakEwma().value(5) is None


def test_it_jumps_up_at_once() -> None:
    average, now = fed([(0, 1), (0.1, 5)])

    assert average.value(now) == 5


def test_it_comes_down_by_the_time_that_has_passed() -> None:
    average, now = fed([(0, 5), (10, 1)])
    weight = math.exp(-1)
    assert average.value(now) == pytest.approx(5 * weight + 1 * (1 - weight))

    average, now = fed([(0, 5), (0, 1)])
    assert average.value(now) == 5, "no time has passed"


def test_without_samples_it_fades() -> None:
    average, now = fed([(0, 5)])

    assert average.value(now + 10) == pytest.approx(5 * math.exp(-1))
    assert average.value(now) == 5, "asking changes nothing"
    assert value(average, now + 1e9) == 0


def test_time_that_goes_back_stands_still() -> None:
    average, now = fed([(100, 5)])
    average.observe(1, 50)
    assert average.value(0) == 5

    average.observe(1, now + 10)
    assert value(average, now + 10) == pytest.approx(1 + 4 * math.exp(-1))


@given(history=HISTORY, later=TIMES)
def test_it_is_the_recurrence_of_its_definition(
    history: list[tuple[float, float]], later: float
) -> None:
    average, now = fed(history)
    cost = 0.0
    for seconds, sample in history:
        weight = math.exp(-seconds / 10)
        cost = sample if sample > cost else cost * weight + sample * (1 - weight)

    assert value(average, now + later) == pytest.approx(
        cost * math.exp(-later / 10), rel=1e-9, abs=1e-9
    )


@given(history=HISTORY)
def test_it_is_never_below_the_newest_sample_nor_above_the_highest(
    history: list[tuple[float, float]],
) -> None:
    average, now = fed(history)
    rounding = 1e-9

    assert value(average, now) >= history[-1][1] - rounding
    assert value(average, now) <= max(sample for _, sample in history) + rounding


def test_too_few_samples_have_no_quantile() -> None:
    latest = Quantile(least=3)
    latest.observe(1)
    latest.observe(1)
    assert latest.quantile(0.5) is None

    latest.observe(1)
    assert latest.quantile(0.5) == 1


def test_quantiles_are_by_nearest_rank() -> None:
    latest = Quantile()
    for sample in range(100, 0, -1):
        latest.observe(sample)

    assert [latest.quantile(q) for q in (0.0, 0.01, 0.5, 0.95, 1.0)] == [1, 1, 50, 95, 100]


def test_a_new_sample_is_seen_after_a_question() -> None:
    latest = Quantile(size=3, least=1)
    for sample in (1.0, 2.0, 3.0):
        latest.observe(sample)
    assert latest.quantile(1) == 3

    latest.observe(0.5)
    assert latest.quantile(0) == 0.5
    assert latest.quantile(1) == 3

    latest.observe(0.5)
    latest.observe(0.5)
    assert latest.quantile(1) == 0.5


@given(
    size=st.integers(1, 40),
    least=st.integers(1, 40),
    samples=st.lists(st.integers(0, 20), max_size=100),
    ranks=st.lists(st.integers(1, 40), min_size=1),
)
def test_a_quantile_covers_its_share_of_the_newest(
    size: int, least: int, samples: list[int], ranks: list[int]
) -> None:
    latest = Quantile(size, least)
    for index, sample in enumerate(samples):
        latest.observe(sample)
        newest = samples[max(0, index + 1 - size) : index + 1]
        q = min(ranks[index % len(ranks)], len(newest)) / len(newest)
        found = latest.quantile(q)
        if len(newest) < least:
            assert found is None
        else:
            covering = [x for x in newest if sum(y <= x for y in newest) >= q * len(newest)]
            assert found == min(covering)
