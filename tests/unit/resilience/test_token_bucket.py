"""Requests and tokens a minute: reserved, settled, refunded."""

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmgateway_server.resilience.token_bucket import TokenBucket


def test_it_starts_full_and_refills_continuously() -> None:
    bucket = TokenBucket(60)
    assert sum(bucket.try_reserve(1, 1000) for _ in range(100)) == 60

    assert not bucket.try_reserve(1, 1000.9)
    assert bucket.try_reserve(1, 1001)
    assert not bucket.try_reserve(1, 1001)
    assert sum(bucket.try_reserve(1, 5000) for _ in range(100)) == 60, "never more than a minute's"


def test_what_it_cannot_grant_leaves_it_unchanged() -> None:
    bucket = TokenBucket(600)
    assert bucket.try_reserve(400, 0)

    assert not bucket.try_reserve(201, 0)
    assert bucket.try_reserve(200, 0)


def test_it_says_when_a_reservation_could_succeed() -> None:
    bucket = TokenBucket(600)
    assert bucket.available_at(600, 5) == 5
    assert bucket.try_reserve(600, 10)

    assert bucket.available_at(100, 10) == 20
    assert bucket.available_at(100, 15) == 20
    assert bucket.available_at(100, 30) == 30
    assert not bucket.try_reserve(100, 19.9)
    assert bucket.try_reserve(100, 20)


def test_what_was_reserved_and_not_used_comes_back() -> None:
    bucket = TokenBucket(600)
    bucket.try_reserve(600, 0)

    bucket.settle(600, 450, 0)

    assert not bucket.try_reserve(151, 0)
    assert bucket.try_reserve(150, 0)


def test_what_was_used_beyond_the_reservation_is_owed() -> None:
    bucket = TokenBucket(600)
    bucket.try_reserve(600, 0)

    bucket.settle(600, 900, 0)

    assert bucket.available_at(10, 0) == 31


def test_a_refund_gives_everything_back_and_never_more_than_fits() -> None:
    bucket = TokenBucket(600)
    bucket.try_reserve(600, 0)
    bucket.refund(600, 0)
    bucket.refund(600, 0)

    assert bucket.try_reserve(600, 0)
    assert not bucket.try_reserve(1, 0)


def test_debt_is_one_capacity_at_most() -> None:
    bucket = TokenBucket(600)
    bucket.settle(0, 10_000, 0)
    bucket.settle(0, 10_000, 0)

    assert bucket.available_at(600, 0) == 120


def test_more_than_the_capacity_is_granted_when_full_and_leaves_debt() -> None:
    bucket = TokenBucket(600)
    assert bucket.available_at(900, 0) == 0
    assert bucket.try_reserve(900, 0)

    assert bucket.available_at(0, 0) == 30
    assert bucket.available_at(900, 0) == 90
    assert not bucket.try_reserve(900, 89)
    assert bucket.try_reserve(900, 90)


def test_a_huge_reservation_gives_back_no_more_than_it_took() -> None:
    bucket = TokenBucket(600)
    bucket.try_reserve(100_000, 0)

    bucket.settle(100_000, 100, 0)

    assert not bucket.try_reserve(501, 0)
    assert bucket.try_reserve(500, 0)


def test_time_that_goes_back_stands_still() -> None:
    bucket = TokenBucket(600)
    bucket.try_reserve(600, 100)

    assert not bucket.try_reserve(10, 50)
    assert bucket.available_at(10, 50) == 101
    assert not bucket.try_reserve(10, 100)
    assert bucket.try_reserve(10, 101)
    assert bucket.available_at(600, 200) == 200
    assert bucket.try_reserve(1, 200)
    assert bucket.try_reserve(599, 150)


@given(
    per_minute=st.integers(1, 50_000_000),
    start=st.floats(0, 1e8),
    spent=st.floats(0, 1),
    looked=st.lists(st.floats(0, 1), max_size=5).map(sorted),
    amount=st.floats(1, 1e8),
)
def test_a_caller_who_waits_as_long_as_it_says_is_served(
    per_minute: int, start: float, spent: float, looked: list[float], amount: float
) -> None:
    bucket = TokenBucket(per_minute)
    bucket.try_reserve(spent * per_minute, start)
    when = bucket.available_at(amount, start)
    for part in looked:
        bucket.settle(0, 0, start + part * (when - start))

    assert when >= start
    assert bucket.try_reserve(amount, when)


class TokenBuckets(RuleBasedStateMachine):
    """Beside exact sums. Times and limits are chosen so that floats are exact, too."""

    @initialize(per_second=st.integers(1, 8), start=st.integers(0, 1000))
    def begin(self, per_second: int, start: int) -> None:
        self.capacity = Fraction(60 * per_second)
        self.bucket = TokenBucket(60 * per_second)
        self.now = Fraction(start)
        self.left = self.capacity
        self.reserved: list[Fraction] = []
        self.started = self.now
        self.granted = Fraction(0)
        self.returned = Fraction(0)

    @rule(eighths=st.integers(0, 400))
    def time_passes(self, eighths: int) -> None:
        self.now += Fraction(eighths, 8)
        refilled = self.left + Fraction(eighths, 8) * self.capacity / 60
        self.left = min(self.capacity, refilled)

    @rule(eighths=st.integers(1, 80), amount=st.integers(0, 1000))
    def looks_with_a_clock_that_is_late(self, eighths: int, amount: int) -> None:
        self.bucket.settle(0, 0, float(self.now))
        late = float(self.now - Fraction(eighths, 8))
        when = self.bucket.available_at(amount, late)
        assert when == late or when > self.now

    @rule(amount=st.integers(0, 1000), late=st.sampled_from([0, 0, 40]))
    def reserve(self, amount: int, late: int) -> None:
        self.bucket.settle(0, 0, float(self.now))
        is_granted = self.bucket.try_reserve(amount, float(self.now - late))
        assert is_granted == (self.left >= min(Fraction(amount), self.capacity))
        if is_granted:
            before = self.left
            self.left = max(self.left - amount, -self.capacity)
            self.granted += before - self.left
            self.reserved.append(Fraction(amount))

    @precondition(lambda self: self.reserved)
    @rule(data=st.data(), used=st.integers(0, 1200))
    def settle(self, data: st.DataObject, used: int) -> None:
        amount = self.reserved.pop(data.draw(st.integers(0, len(self.reserved) - 1)))
        self.bucket.settle(float(amount), used, float(self.now))
        self.change(min(amount, 2 * self.capacity) - min(Fraction(used), 2 * self.capacity))

    @precondition(lambda self: self.reserved)
    @rule(data=st.data())
    def refund(self, data: st.DataObject) -> None:
        amount = self.reserved.pop(data.draw(st.integers(0, len(self.reserved) - 1)))
        self.bucket.refund(float(amount), float(self.now))
        self.change(min(amount, 2 * self.capacity))

    def change(self, by: Fraction) -> None:
        before = self.left
        self.left = max(-self.capacity, min(self.capacity, self.left + by))
        self.returned += max(Fraction(0), self.left - before)

    @invariant()
    def it_is_available_when_the_sums_say_so(self) -> None:
        for amount in (Fraction(1), self.capacity / 2, 3 * self.capacity):
            missing = min(amount, self.capacity) - self.left
            wait = max(Fraction(0), missing) * 60 / self.capacity
            when = self.bucket.available_at(float(amount), float(self.now))
            assert math.isclose(when, self.now + wait, abs_tol=1e-9)
            assert wait <= 120, "debt is bounded"

    @invariant()
    def no_more_passes_than_the_limit(self) -> None:
        refilled = (self.now - self.started) * self.capacity / 60
        # The second capacity is what a call larger than the bucket may owe.
        assert self.granted - self.returned <= 2 * self.capacity + refilled


TestTokenBuckets = TokenBuckets.TestCase
