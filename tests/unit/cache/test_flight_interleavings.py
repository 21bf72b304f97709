"""Shared calls under any interleaving: whoever reads gets the whole answer, or hears why not."""

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from llmgateway_server.cache.flight import JOINABLE
from llmgateway_server.cache.flights import Flights, Reader
from llmgateway_server.domain.answer import Answer, CacheStatus, Finish, Route
from llmgateway_server.domain.coalesce import content_size
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import (
    ReasoningDelta,
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from support.shared_source import END, FINISH, START, USAGE, SharedSource, fold
from support.virtual_time import VirtualTimeLoop

SETTLED = 30
CAUSE = AttemptFailure("p", "m", 500)
# By name, since reports of examples shall not spell out megabytes.
DELTAS: dict[str, StreamEvent] = {
    "text": TextDelta(0, "a"),
    "longer": TextDelta(0, "d" * 40_000),
    "large": TextDelta(0, "x" * (JOINABLE // 2)),
    "reasoning": ReasoningDelta(1, "hm"),
    "signature": SignatureDelta(1, b"s"),
    "call": ToolCallDelta(2, "id", "f", "{"),
    "arguments": ToolCallDelta(2, arguments_json="1}"),
}
RECOVERIES: dict[str, list[StreamEvent]] = {
    "": [],
    "continued": [Recovery(RecoveryKind.CONTINUED, Route("q", "n", 2), CAUSE)],
    "restarted": [Recovery(RecoveryKind.RESTARTED, Route("q", "n", 2), CAUSE)],
}
turns = st.integers(0, 5) | st.just(SETTLED)
indexes = st.integers(0, 20)


class Call:
    """An upstream call of the model, and what its source was told."""

    def __init__(self, key: bytes, answers: list[Answer]) -> None:
        self.key = key
        self.answers = answers
        self.source: SharedSource | None = None
        self.starts = 0
        self.failure: Exception | None = None
        self.has_end = False

    def start(self, deadline: float) -> SharedSource:
        self.starts += 1
        self.source = SharedSource(deadline)
        self.source.feed([START])
        return self.source

    def feed(self, batch: Sequence[StreamEvent] | Exception) -> None:
        assert self.source is not None
        self.source.feed(batch)
        if isinstance(batch, Exception):
            self.failure = batch
        self.has_end = self.failure is not None or batch is END

    @property
    def can_be_fed(self) -> bool:
        return self.source is not None and not self.has_end and not self.source.closed_by

    @property
    def is_large(self) -> bool:
        size = 0
        for event in self.source.taken if self.source is not None else ():
            restarted = isinstance(event, Recovery) and event.kind is RecoveryKind.RESTARTED
            size = 0 if restarted else size + content_size(event)
            if size > JOINABLE:
                return True
        return False


class Caller:
    """A reader, what it was given, and how that ended."""

    def __init__(self, reader: Reader, call: Call, deadline: float) -> None:
        self.reader = reader
        self.call = call
        self.deadline = deadline
        self.events: list[StreamEvent] = []
        self.reading: asyncio.Task[Sequence[StreamEvent]] | None = None
        self.failure: BaseException | None = None
        self.is_closed = False

    @property
    def has_finished(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Finish)

    @property
    def is_done(self) -> bool:
        return self.has_finished or self.failure is not None

    @property
    def has_heard_of_failure(self) -> bool:
        error = self.failure
        is_late = isinstance(error, GatewayError) and error.reason is Reason.DEADLINE_EXCEEDED
        return error is not None and not is_late

    def harvest(self) -> bool:
        """Whether it was given something since the last time."""
        if self.reading is None or not self.reading.done():
            return False
        reading, self.reading = self.reading, None
        if reading.cancelled():
            return False
        self.failure = reading.exception()
        if self.failure is None:
            events = reading.result()
            assert events
            self.events += events
        return True

    def check(self, now: float) -> None:
        """What it was given is the source's own story, told to this caller."""
        starts = [event for event in self.events if isinstance(event, StreamStart)]
        assert starts == self.events[:1] if self.events else not starts
        for start in starts:
            assert start.response_id == self.reader.response_id
        self._check_failure(now)
        if not self.has_finished and not self.has_heard_of_failure:
            return
        source = self.call.source
        assert source is not None
        told, taken = self.events, source.taken
        if not told:
            return
        if not self.has_finished:
            told, taken = [*told, FINISH], [*taken, FINISH]
        answer, expected = fold(told), fold(taken)
        status = CacheStatus.MISS if self.reader.is_leader else CacheStatus.SHARED
        assert answer == replace(
            expected,
            response_id=self.reader.response_id,
            route=replace(expected.route, cache_status=status),
            usage=replace(expected.usage, cost_nano_usd=answer.usage.cost_nano_usd),
        )
        assert answer.usage.cost_nano_usd in (0, expected.usage.cost_nano_usd)

    def _check_failure(self, now: float) -> None:
        error, cause = self.failure, self.call.failure
        if not isinstance(error, GatewayError):
            assert error is None or error is cause
            return
        assert error is not cause
        assert error.response_id == self.reader.response_id
        assert error.partial_output_sent == any(
            isinstance(event, TextDelta | ReasoningDelta | SignatureDelta | ToolCallDelta)
            for event in self.events
        )
        if error.reason is Reason.DEADLINE_EXCEEDED:
            assert now >= self.deadline
        else:
            assert isinstance(cause, GatewayError)
            assert (error.reason, error.message) == (cause.reason, cause.message)


class FlightsMachine(RuleBasedStateMachine):
    """Joins, reads, cancels, closes and productions, with any number of loop turns between."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.logged: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.logged.append(context))
        self.flights = Flights(self.loop)
        self.calls: list[Call] = []
        self.callers: list[Caller] = []

    def run(self, turns: int) -> None:
        async def run() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.loop.run_until_complete(run())
        for caller in self.callers:
            if caller.harvest():
                caller.check(self.loop.time())

    def open_callers(self) -> list[Caller]:
        return [caller for caller in self.callers if not caller.is_closed]

    @initialize(key=st.sampled_from([b"k", b"l"]))
    def first(self, key: bytes) -> None:
        self.join(key, 1000.0, SETTLED)

    @rule(
        key=st.sampled_from([b"k", b"l"]),
        deadline=st.sampled_from([1.0, 30.0, 1000.0]),
        turns=turns,
    )
    def join(self, key: bytes, deadline: float, turns: int) -> None:
        async def join() -> Reader:
            return self.flights.join(key, due, call.start, call.answers.append)

        call, due = Call(key, []), self.loop.time() + deadline
        reader = self.loop.run_until_complete(join())
        if reader.is_leader:
            self.calls.append(call)
        else:
            call = next(each for each in reversed(self.calls) if each.key == key)
        self.callers.append(Caller(reader, call, due))
        self.run(turns)

    @rule(key=st.sampled_from([b"k", b"l"]))
    def join_when_settled(self, key: bytes) -> None:
        self.run(SETTLED)
        going = {
            id(caller.call)
            for caller in self.open_callers()
            if caller.call.key == key
            and not caller.call.is_large
            # The end may still be waiting behind what nobody reads.
            and not (caller.call.has_end and caller.call.source and not caller.call.source.fed)
        }
        assert len(going) <= 1
        self.join(key, 1000.0, 0)
        assert self.callers[-1].reader.is_leader == (not going)

    @precondition(lambda self: self.open_callers())
    @rule(index=indexes, turns=turns)
    def read(self, index: int, turns: int) -> None:
        callers = self.open_callers()
        self.begin_to_read(callers[index % len(callers)])
        self.run(turns)

    def begin_to_read(self, caller: Caller) -> None:
        if caller.reading is None and not caller.is_done:
            caller.reading = self.loop.create_task(_reading(caller.reader))

    @precondition(lambda self: self.open_callers())
    @rule(index=indexes, close=st.booleans(), turns=turns)
    def cancel(self, index: int, close: bool, turns: int) -> None:
        callers = self.open_callers()
        caller = callers[index % len(callers)]
        if caller.reading is not None:
            caller.reading.cancel()
            self.run(2)
        if close:
            self.close(caller)
        self.run(turns)

    def close(self, caller: Caller) -> None:
        async def close() -> None:
            caller.reader.close()
            caller.reader.close()

        caller.is_closed = True
        self.loop.run_until_complete(close())

    def fed(self, index: int) -> Call:
        calls = [call for call in self.calls if call.can_be_fed]
        return calls[index % len(calls)]

    @precondition(lambda self: any(call.can_be_fed for call in self.calls))
    @rule(
        index=indexes,
        recovery=st.sampled_from(["", "", *RECOVERIES]),
        deltas=st.lists(st.sampled_from(list(DELTAS)), min_size=1, max_size=4),
        turns=turns,
    )
    def feed(self, index: int, recovery: str, deltas: list[str], turns: int) -> None:
        self.fed(index).feed([*RECOVERIES[recovery], *(DELTAS[name] for name in deltas)])
        self.run(turns)

    @precondition(lambda self: any(call.can_be_fed for call in self.calls))
    @rule(index=indexes, how=st.sampled_from(["end", "failure", "bug"]), turns=turns)
    def end(self, index: int, how: str, turns: int) -> None:
        error = GatewayError(Reason.PROVIDER_ERROR, "the provider failed")
        error.partial_output_sent, error.response_id = True, "SOURCE"
        call = self.fed(index)
        match how:
            case "end":
                call.feed(END)
            case "failure":
                call.feed(error)
            case _:
                call.feed(ZeroDivisionError("a bug"))
        self.run(turns)

    @rule(seconds=st.sampled_from([0.5, 10.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))
        self.run(0)

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0.001))
            self.loop.close()

    def finish(self) -> None:
        self.run(SETTLED)
        for call in self.calls:
            if call.can_be_fed:
                call.feed(END)
        for caller in self.open_callers():
            while not caller.is_done:
                self.begin_to_read(caller)
                self.run(SETTLED)
        for caller in self.open_callers():
            self.close(caller)
        self.run(SETTLED)
        assert len(self.flights) == 0
        assert not self.flights._joinable
        assert not asyncio.all_tasks(self.loop)
        assert self.logged == []
        for call in self.calls:
            self.check_end(call)

    def check_end(self, call: Call) -> None:
        assert call.starts <= 1
        if call.source is not None:
            assert call.source.closed_by == [call.source.made_by]
            task = call.source.made_by
            assert task is not None
            assert task.cancelled() or task.exception() is None
        finished = [c for c in self.callers if c.call is call and c.has_finished]
        if finished and call.source is not None:
            whole = fold(call.source.taken)
            assert call.answers == ([] if call.is_large else [whole])
            costs = [fold(caller.events).usage.cost_nano_usd for caller in finished]
            assert costs.count(USAGE.cost_nano_usd) <= 1
            for caller, cost in zip(finished, costs, strict=True):
                assert cost == USAGE.cost_nano_usd or not caller.reader.is_leader
        assert len(call.answers) <= 1


async def _reading(reader: Reader) -> Sequence[StreamEvent]:
    return await reader.read()


TestFlights = FlightsMachine.TestCase
