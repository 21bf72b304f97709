"""How long a retry waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.resilience.backoff import (
    BACKPRESSURE_BASE,
    FAULT_BASE,
    LONGEST,
    full_jitter,
)

BASE = st.sampled_from([FAULT_BASE, BACKPRESSURE_BASE]) | st.floats(0, 1e300)
RANDOM = st.floats(0, 1, exclude_max=True)


def test_the_most_that_a_retry_waits_doubles_up_to_eight_seconds() -> None:
    faults = [full_jitter(retry, FAULT_BASE, lambda: 0.5) for retry in range(10)]
    backpressure = [full_jitter(retry, BACKPRESSURE_BASE, lambda: 0.5) for retry in range(6)]

    assert faults == [0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 4, 4]
    assert backpressure == [0.5, 1, 2, 4, 4, 4]


@given(retry=st.integers(0), base=BASE, random=RANDOM)
def test_every_wait_is_within_its_bounds(retry: int, base: float, random: float) -> None:
    wait = full_jitter(retry, base, lambda: random)

    assert 0 <= wait <= LONGEST
    if retry == 0:
        assert wait <= base


@given(retry=st.integers(0, 200), base=BASE, random=RANDOM)
def test_a_later_retry_is_drawn_from_at_least_as_much(
    retry: int, base: float, random: float
) -> None:
    assert full_jitter(retry, base, lambda: random) <= full_jitter(retry + 1, base, lambda: random)


@given(retry=st.integers(0, 20), random=RANDOM)
def test_the_whole_time_is_drawn(retry: int, random: float) -> None:
    most = min(LONGEST, FAULT_BASE * 2**retry)

    assert full_jitter(retry, FAULT_BASE, lambda: random) == pytest.approx(random * most)
