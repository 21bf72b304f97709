"""The memory store against a model: a list of entries in the order of their use."""

import asyncio
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmgateway_server.ports.store import ResponseStore
from llmgateway_server.stores.memory import OVERHEAD, MemoryStore

T = TypeVar("T")
MAX_BYTES = 10_000


class FakeClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        raise AssertionError("the store sets no timers")


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it waits")


keys = st.sampled_from([b"a", b"bb", b"ccc", b"dddd", *(bytes([n]) * 32 for n in range(20))])
# An eighth of what the store holds may be one entry: some are just too large.
LARGEST = MAX_BYTES // 8 - OVERHEAD - 32
sizes = st.sampled_from([0, 1, 500, LARGEST, LARGEST]) | st.integers(0, 1300)
ttls = st.sampled_from([0.0, 1.0, 5.0, 60.0, 600.0, 600.0])


class MemoryStoreMachine(RuleBasedStateMachine):
    """`kept` is the model: (key, value, expires), the one used longest ago first."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = MemoryStore(MAX_BYTES, self.clock)
        self.kept: list[tuple[bytes, bytes, float]] = []
        self.puts = 0

    def forget(self, key: bytes) -> None:
        self.kept = [entry for entry in self.kept if entry[0] != key]

    def used(self) -> int:
        return sum(len(key) + len(value) + OVERHEAD for key, value, _ in self.kept)

    @rule(key=keys, size=sizes, ttl=ttls)
    def put(self, key: bytes, size: int, ttl: float) -> None:
        self.puts += 1
        value = bytes([self.puts % 256]) * size
        at_once(self.store.put(key, value, ttl))
        self.forget(key)
        needed = len(key) + size + OVERHEAD
        if needed > MAX_BYTES / 8 or ttl == 0:
            return
        if self.used() + needed > MAX_BYTES:
            self.kept = [entry for entry in self.kept if entry[2] > self.clock.now]
        while self.used() + needed > MAX_BYTES:
            self.kept.pop(0)
        self.kept.append((key, value, self.clock.now + ttl))

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        found = next((entry for entry in self.kept if entry[0] == key), None)
        self.forget(key)
        if found is not None and found[2] > self.clock.now:
            self.kept.append(found)
            assert at_once(self.store.get(key)) == found[1]
        else:
            assert at_once(self.store.get(key)) is None

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_holds_what_the_model_holds(self) -> None:
        assert self.store.used_bytes == self.used() <= MAX_BYTES
        assert len(self.store) == len(self.kept)
        assert len(self.store._moments) <= 2 * len(self.kept) + 65 + 2 * MAX_BYTES // OVERHEAD


TestMemoryStore = MemoryStoreMachine.TestCase


def test_it_is_a_response_store() -> None:
    store: ResponseStore = MemoryStore(MAX_BYTES, FakeClock())
    assert at_once(store.get(b"k")) is None


def test_an_entry_put_again_all_the_time_does_not_pile_up() -> None:
    clock = FakeClock()
    store = MemoryStore(MAX_BYTES, clock)
    for _ in range(10_000):
        clock.now += 0.001
        at_once(store.put(b"k", b"v", 3600.0))
    assert len(store) == 1
    assert len(store._moments) < 100


def test_an_entry_put_again_lives_by_its_new_time() -> None:
    clock = FakeClock()
    store = MemoryStore(MAX_BYTES, clock)
    at_once(store.put(b"k", b"old", 1.0))
    at_once(store.put(b"k", b"new", 60.0))
    for number in range(18):
        at_once(store.put(bytes([number]), b"", 1.5))
    clock.now += 2.0
    # There is no room, and the expired ones go first.
    at_once(store.put(b"one more", b"", 60.0))
    assert len(store) == 2
    assert at_once(store.get(b"k")) == b"new"


def test_what_was_used_longest_ago_goes_first() -> None:
    store = MemoryStore(MAX_BYTES, FakeClock())
    for number in range(19):
        at_once(store.put(bytes([number]), b"", 60.0))
    assert at_once(store.get(b"\x00")) == b""
    at_once(store.put(b"one more", b"", 60.0))
    assert at_once(store.get(b"\x01")) is None
    assert at_once(store.get(b"\x00")) == b""


def test_small_entries_take_no_more_memory_than_is_counted() -> None:
    store = MemoryStore(4_000_000, FakeClock())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(20_000):
            at_once(store.put(number.to_bytes(32, "big"), bytes(10), 60.0 + number))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.used_bytes > 3_990_000
    assert after - before <= 4_000_000
