"""The gate against a simple model of it, and under every interleaving of its callers.

Times are whole multiples of 1/64 s, so that virtual time is exact.
"""

import asyncio
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmgateway_server.admission.gate import Gate, Slot
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.policies import AdmissionLimits
from llmgateway_server.domain.request import Priority
from llmgateway_server.resilience.adaptive_limit import AdaptiveLimit
from support.virtual_time import VirtualTimeLoop, run_virtual

TICK = 1 / 64
QUEUE = 8 * TICK
Call: TypeAlias = "asyncio.Task[Slot]"

LIMITS = st.builds(
    AdmissionLimits,
    in_flight=st.integers(1, 6),
    queue=st.sampled_from([0.0, QUEUE]),
    adaptive=st.booleans(),
    least=st.integers(1, 3),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(Priority), st.integers(0, 12)),
        st.tuples(st.just("leave"), st.integers(0, 20), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 20), st.none()),
        st.tuples(st.just("pass"), st.integers(1, 80), st.none()),
        st.tuples(st.just("push back"), st.none(), st.none()),
    ),
    max_size=40,
)


class Model:
    """Who is where, decided one call after the other; numbers are those of the calls."""

    def __init__(self, limits: AdmissionLimits) -> None:
        least = limits.least if limits.adaptive else limits.in_flight
        self.limit = AdaptiveLimit(limits.in_flight, least)
        self.queue = limits.queue
        self.now = 0.0
        self.inside: dict[int, Priority] = {}
        self.waiting: dict[int, tuple[Priority, float]] = {}

    def has_room(self, priority: Priority) -> bool:
        if priority is Priority.BATCH:
            batch = sum(each is Priority.BATCH for each in self.inside.values())
            if batch >= max(1, self.limit.value * 8 // 10):
                return False
        return len(self.inside) < self.limit.value

    def enter(self, call: int, priority: Priority, deadline: float) -> None:
        until = min(deadline, self.now + self.queue)
        if self.has_room(priority):
            self.inside[call] = priority
        elif until > self.now:
            if len(self.waiting) >= self.limit.value:
                batch = [n for n, (each, _) in self.waiting.items() if each is Priority.BATCH]
                if priority is Priority.BATCH or not batch:
                    return
                del self.waiting[batch[-1]]
            self.waiting[call] = (priority, until)

    def leave(self, call: int, *, went_well: bool) -> None:
        if went_well:
            self.limit.succeeded(len(self.inside))
        del self.inside[call]
        for priority in Priority:
            for number, (each, _) in list(self.waiting.items()):
                if each is priority and self.has_room(priority):
                    del self.waiting[number]
                    self.inside[number] = priority

    def pass_to(self, now: float) -> None:
        self.now = now
        self.waiting = {n: each for n, each in self.waiting.items() if each[1] > now}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def was_let_in(call: Call) -> bool:
    """Whether a call that is at its end got a slot; if it did not, it was shed or cancelled."""
    if call.cancelled():
        return False
    error = call.exception()
    if error is None:
        return True
    assert isinstance(error, GatewayError)
    assert error.reason is Reason.GATEWAY_OVERLOADED
    assert error.retry_after is not None
    assert 0.5 <= error.retry_after <= 1.5
    return False


@given(LIMITS, STEPS)
def test_the_gate_does_what_the_model_says(
    limits: AdmissionLimits, steps: list[tuple[str, object, object]]
) -> None:
    run_virtual(_compare(limits, steps))


async def _compare(limits: AdmissionLimits, steps: list[tuple[str, object, object]]) -> None:
    loop = asyncio.get_running_loop()
    errors: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: errors.append(context))
    gate, model = Gate(limits, loop), Model(limits)
    calls: list[Call] = []
    for step in steps:
        match step:
            case "enter", Priority() as priority, int(left):
                deadline = loop.time() + left * TICK
                model.enter(len(calls), priority, deadline)
                calls.append(loop.create_task(gate.enter(priority, deadline)))
            case "leave", int(which), bool(went_well) if model.inside:
                call = sorted(model.inside)[which % len(model.inside)]
                calls[call].result().leave(went_well=went_well)
                model.leave(call, went_well=went_well)
            case "cancel", int(which), _ if model.waiting:
                call = sorted(model.waiting)[which % len(model.waiting)]
                del model.waiting[call]
                calls[call].cancel()
            case "pass", int(ticks), _:
                await asyncio.sleep(ticks * TICK)
                model.pass_to(loop.time())
            case "push back", _, _:
                gate.pushed_back()
                model.limit.pushed_back(loop.time())
        await settle()
        assert {n for n, each in enumerate(calls) if not each.done()} == model.waiting.keys()
        assert (gate.in_flight, gate.waiting) == (len(model.inside), len(model.waiting))
        assert all(was_let_in(calls[n]) for n in model.inside)
    await _empty(gate, calls)
    assert not errors


async def _empty(gate: Gate, calls: list[Call]) -> None:
    """However it stands: once everybody left and the longest wait is over, nothing is left."""
    await asyncio.sleep(QUEUE)
    await settle()
    for call in calls:
        if call.done() and was_let_in(call):
            call.result().leave()
            call.result().leave()
    await settle()
    # Those whom the others made room for.
    for call in calls:
        assert call.done()
        if was_let_in(call):
            call.result().leave()
    assert (gate.in_flight, gate.waiting) == (0, 0)


class Interleavings(RuleBasedStateMachine):
    """Callers act between any two turns of the event loop, not only when all has settled."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.errors: list[dict[str, object]] = []
        self.loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.limit = 3
        self.gate = Gate(AdmissionLimits(self.limit, QUEUE, adaptive=False), self.loop)
        self.calls: list[Call] = []
        self.batch: set[Call] = set()
        self.gone: set[Call] = set()

    def held(self) -> list[Call]:
        done = [call for call in self.calls if call.done() and call not in self.gone]
        return [call for call in done if was_let_in(call)]

    def pending(self) -> list[Call]:
        return [call for call in self.calls if not call.done()]

    @rule(priority=st.sampled_from(Priority), left=st.integers(0, 12))
    def enter(self, priority: Priority, left: int) -> None:
        deadline = self.loop.time() + left * TICK
        call = self.loop.create_task(self.gate.enter(priority, deadline))
        self.calls.append(call)
        if priority is Priority.BATCH:
            self.batch.add(call)

    @precondition(lambda self: self.held())
    @rule(which=st.integers(0, 20))
    def leave(self, which: int) -> None:
        held = self.held()
        call = held[which % len(held)]
        self.gone.add(call)
        call.result().leave()

    @precondition(lambda self: self.pending())
    @rule(which=st.integers(0, 20))
    def cancel(self, which: int) -> None:
        pending = self.pending()
        pending[which % len(pending)].cancel()

    @rule()
    def turn(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    @rule(ticks=st.integers(1, 9))
    def wait(self, ticks: int) -> None:
        self.loop.run_until_complete(asyncio.sleep(ticks * TICK))

    @rule()
    def settle(self) -> None:
        self.loop.run_until_complete(settle())
        held, pending = self.held(), self.pending()
        assert (self.gate.in_flight, self.gate.waiting) == (len(held), len(pending))
        # No wake-up was lost: whoever waits could not go in.
        if pending and len(held) < self.limit:
            assert self.batch.issuperset(pending)
            assert sum(call in self.batch for call in held) == 2

    @invariant()
    def never_more_inside_than_the_limit(self) -> None:
        held = self.held()
        assert len(held) <= self.gate.in_flight <= self.limit
        assert sum(call in self.batch for call in held) <= 2
        assert self.gate.waiting <= self.limit

    def teardown(self) -> None:
        try:
            for call in self.gone:
                call.result().leave()
            self.loop.run_until_complete(_empty(self.gate, self.calls))
            assert not self.errors
        finally:
            self.loop.close()


TestInterleavings = Interleavings.TestCase
