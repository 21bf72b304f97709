"""Ids increase strictly and never run ahead of the clock, whatever the clock does."""

import re

from hypothesis import given
from hypothesis import strategies as st

from llmgateway.sentient.ulid import UlidSequence, clock_ms, stream_id, ulid
from support.sentient_wire import ulid_ms

times = st.integers(0, 2**48 - 1)


@given(st.lists(times, min_size=1, max_size=40), st.integers(0, 2**79 - 1))
def test_ids_increase_and_are_never_later_than_the_latest_time_seen(
    clock: list[int], drawn: int
) -> None:
    ticks = iter(clock)
    ids = UlidSequence(lambda: next(ticks), lambda bits: drawn)
    made = [ids.next().decode() for _ in clock]
    assert made == sorted(set(made))
    for at, each in enumerate(made):
        assert re.fullmatch(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", each)
        assert ulid_ms(each) == max(clock[: at + 1])


def test_ids_of_one_millisecond_count_up_by_one() -> None:
    ids = UlidSequence(lambda: 7, lambda bits: 0)
    made = [ids.next() for _ in range(3000)]
    assert made == [ulid(7 << 80 | count) for count in range(1, 3001)]


def test_a_clock_that_goes_back_is_not_followed_when_the_count_carries_over() -> None:
    clock = iter([9, *[5] * 2000])
    ids = UlidSequence(lambda: next(clock), lambda bits: 0)
    made = [ids.next() for _ in range(2000)]
    assert made == [ulid(9 << 80 | count) for count in range(1, 2001)]


def test_the_largest_draw_leaves_room_to_count() -> None:
    ids = UlidSequence(lambda: 6, lambda bits: 2**bits - 1)
    made = [ids.next() for _ in range(3)]
    assert made == sorted(set(made))
    assert {ulid_ms(each.decode()) for each in made} == {6}


def test_a_real_id_tells_the_time() -> None:
    before = clock_ms()
    made = UlidSequence().next().decode()
    assert before <= ulid_ms(made) <= clock_ms()


def test_two_responses_do_not_share_ids() -> None:
    assert len({UlidSequence(lambda: 7).next() for _ in range(100)}) == 100


def test_a_stream_id_looks_like_the_frameworks() -> None:
    ids = {stream_id() for _ in range(500)}
    assert len(ids) == 500
    assert all(re.fullmatch(r"[a-z][a-z0-9]{9}", each) for each in ids)
