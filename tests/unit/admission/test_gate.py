"""The gate by example: who is let in, who waits, who is shed, and what a cancel leaves behind."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llmgateway_server.admission.gate import Gate, Slot
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.policies import AdmissionLimits
from llmgateway_server.domain.request import Priority
from support.virtual_time import run_virtual

INTERACTIVE, BATCH = Priority.INTERACTIVE, Priority.BATCH
LATER = 1000.0


def gate_of(in_flight: int, *, adaptive: bool = False, least: int = 1, queue: float = 0.1) -> Gate:
    limits = AdmissionLimits(in_flight, queue, adaptive, least)
    return Gate(limits, asyncio.get_running_loop(), random=lambda: 0.25)


def entering(gate: Gate, priority: Priority = INTERACTIVE) -> asyncio.Task[Slot]:
    return asyncio.ensure_future(gate.enter(priority, LATER))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def filled(gate: Gate, count: int) -> list[Slot]:
    return [await gate.enter(INTERACTIVE, LATER) for _ in range(count)]


async def shed(awaitable: Awaitable[Slot]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        await awaitable
    assert caught.value.reason is Reason.GATEWAY_OVERLOADED
    return caught.value


def virtual(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Runs a test in virtual time; an error in a timer's callback fails it."""

    def run() -> None:
        errors: list[dict[str, object]] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: errors.append(context))
            await test()

        run_virtual(main())
        assert not errors

    return run


@virtual
async def test_where_there_is_room_a_call_goes_in_without_a_task_switch() -> None:
    gate = gate_of(1)
    entered = gate.enter(INTERACTIVE, LATER)
    with pytest.raises(StopIteration) as returned:
        entered.send(None)
    slot = returned.value.value
    assert isinstance(slot, Slot)
    assert slot.queued == 0.0
    assert gate.in_flight == 1


@virtual
async def test_leaving_twice_makes_room_once() -> None:
    gate = gate_of(2)
    first, _ = await filled(gate, 2)
    first.leave()
    first.leave()
    assert gate.in_flight == 1


@virtual
async def test_a_call_waits_for_the_next_place_and_knows_how_long() -> None:
    gate = gate_of(1)
    (inside,) = await filled(gate, 1)
    asyncio.get_running_loop().call_later(0.0625, inside.leave)
    slot = await gate.enter(INTERACTIVE, LATER)
    assert slot.queued == 0.0625
    assert (gate.in_flight, gate.waiting) == (1, 0)


@virtual
async def test_a_call_that_waited_too_long_is_told_when_to_come_again() -> None:
    gate = gate_of(1)
    await filled(gate, 1)
    error = await shed(gate.enter(INTERACTIVE, LATER))
    assert asyncio.get_running_loop().time() == 0.1
    assert error.retry_after == 0.75
    assert "try again" in error.message
    assert (gate.in_flight, gate.waiting) == (1, 0)


@virtual
async def test_nobody_waits_beyond_the_calls_own_deadline() -> None:
    gate = gate_of(1)
    await filled(gate, 1)
    await shed(gate.enter(INTERACTIVE, 0.03125))
    assert asyncio.get_running_loop().time() == 0.03125
    await shed(gate.enter(INTERACTIVE, 0.03125))
    assert asyncio.get_running_loop().time() == 0.03125


@virtual
async def test_without_a_queue_a_call_that_does_not_fit_is_shed_at_once() -> None:
    gate = gate_of(1, queue=0.0)
    await filled(gate, 1)
    with pytest.raises(GatewayError):
        gate.enter(INTERACTIVE, LATER).send(None)


@virtual
async def test_as_many_wait_as_fit_inside_and_the_next_is_shed_at_once() -> None:
    gate = gate_of(2)
    await filled(gate, 2)
    waiting = [entering(gate) for _ in range(2)]
    await settle()
    await shed(gate.enter(INTERACTIVE, LATER))
    await shed(gate.enter(BATCH, LATER))
    assert asyncio.get_running_loop().time() == 0.0
    for each in waiting:
        await shed(each)


@virtual
async def test_a_full_queue_throws_out_the_newest_batch_call_for_an_interactive_one() -> None:
    gate = gate_of(2)
    inside = await filled(gate, 2)
    old = entering(gate, BATCH)
    new = entering(gate, BATCH)
    await settle()
    interactive = entering(gate)
    await shed(new)
    assert asyncio.get_running_loop().time() == 0.0
    for slot in inside:
        slot.leave()
    await settle()
    assert interactive.done()
    # One of two places is the batch calls' share.
    assert old.done()
    assert gate.in_flight == 2


@virtual
async def test_a_batch_call_that_was_cancelled_a_moment_ago_makes_room_in_the_queue() -> None:
    gate = gate_of(1)
    (inside,) = await filled(gate, 1)
    batch = entering(gate, BATCH)
    await settle()
    batch.cancel()
    asyncio.get_running_loop().call_later(0.0625, inside.leave)
    assert (await gate.enter(INTERACTIVE, LATER)).queued == 0.0625
    assert batch.cancelled()
    assert (gate.in_flight, gate.waiting) == (1, 0)


@virtual
async def test_interactive_calls_go_before_batch_ones_and_each_in_their_order() -> None:
    gate = gate_of(5)
    inside = await filled(gate, 5)
    order: list[str] = []

    async def call(name: str, priority: Priority) -> None:
        (await gate.enter(priority, LATER)).leave()
        order.append(name)

    calls = [("b1", BATCH), ("i1", INTERACTIVE), ("b2", BATCH), ("i2", INTERACTIVE)]
    tasks = [asyncio.ensure_future(call(*each)) for each in calls]
    await settle()
    inside[0].leave()
    await asyncio.gather(*tasks)
    assert order == ["i1", "i2", "b1", "b2"]


@virtual
async def test_batch_calls_use_no_more_than_their_share() -> None:
    gate = gate_of(10)
    inside = [await gate.enter(BATCH, LATER) for _ in range(8)]
    ninth = entering(gate, BATCH)
    await settle()
    assert not ninth.done()
    assert len(await filled(gate, 2)) == 2
    inside[0].leave()
    await settle()
    assert ninth.done()


@virtual
async def test_a_batch_call_gets_in_even_where_the_limit_is_one() -> None:
    gate = gate_of(1)
    (await gate.enter(BATCH, LATER)).leave()
    assert gate.in_flight == 0


@virtual
async def test_a_cancel_at_any_moment_around_the_hand_over_leaks_nothing() -> None:
    for before in range(4):
        for after in range(4):
            for cancel_first in (False, True):
                gate = gate_of(2)
                inside, _ = await filled(gate, 2)
                second, third = entering(gate), entering(gate)
                for _ in range(before):
                    await asyncio.sleep(0)
                steps: list[Callable[[], object]] = [inside.leave, second.cancel]
                if cancel_first:
                    steps.reverse()
                steps[0]()
                for _ in range(after):
                    await asyncio.sleep(0)
                steps[1]()
                await settle()
                if not second.cancelled():
                    # It had come to its end before the cancel; its slot is its own.
                    assert not third.done()
                    second.result().leave()
                (await third).leave()
                assert (gate.in_flight, gate.waiting) == (1, 0)


@virtual
async def test_a_cancel_at_the_moment_when_the_wait_ends_leaks_nothing() -> None:
    loop = asyncio.get_running_loop()
    for when in (0.1 - 2**-30, 0.1, 0.1 + 2**-30):
        gate = gate_of(1)
        await filled(gate, 1)
        waiter = entering(gate)
        loop.call_later(when, waiter.cancel)
        await asyncio.wait([waiter])
        assert (gate.in_flight, gate.waiting) == (1, 0)


@virtual
async def test_a_place_that_comes_free_when_the_wait_ends_is_given_once() -> None:
    loop = asyncio.get_running_loop()
    for is_armed_first in (False, True):
        gate = gate_of(1)
        (inside,) = await filled(gate, 1)
        ends = loop.time() + 0.1
        if is_armed_first:
            loop.call_at(ends, inside.leave)
        waiter = entering(gate)
        await asyncio.sleep(0)
        if not is_armed_first:
            loop.call_at(ends, inside.leave)
        await asyncio.wait([waiter])
        if waiter.exception() is None:
            waiter.result().leave()
        assert (gate.in_flight, gate.waiting) == (0, 0)


@virtual
async def test_a_coroutine_that_is_closed_while_it_waits_leaves_the_line() -> None:
    gate = gate_of(1)
    await filled(gate, 1)
    entered = gate.enter(INTERACTIVE, LATER)
    entered.send(None)
    assert gate.waiting == 1
    entered.close()
    assert gate.waiting == 0


@virtual
async def test_the_adaptive_limit_falls_under_strain_and_rises_with_success() -> None:
    gate = gate_of(10, adaptive=True)
    inside = await filled(gate, 10)
    gate.pushed_back()
    # Nine are let in now: one has to leave without success before another's leaving makes room.
    waiting = entering(gate)
    inside.pop().leave(went_well=False)
    await settle()
    assert not waiting.done()
    inside.pop().leave(went_well=False)
    await settle()
    assert waiting.done()
    assert gate.in_flight == 9
    # A success raises it by one, which lets two in for one that left.
    more = [entering(gate), entering(gate)]
    await settle()
    inside.pop().leave()
    await settle()
    assert all(each.done() for each in more)
    assert gate.in_flight == 10


@virtual
async def test_a_late_first_token_lowers_the_limit() -> None:
    gate = gate_of(10, adaptive=True)
    gate.first_token(0.5, 0.1)
    gate.first_token(9.0, None)
    assert len(await filled(gate, 10)) == 10
    for _ in range(3):
        gate.first_token(9.0, 0.1)
        await asyncio.sleep(2)
    await shed(gate.enter(INTERACTIVE, LATER))
    assert gate.in_flight == 10


@virtual
async def test_a_fixed_limit_does_not_move() -> None:
    gate = gate_of(10)
    gate.pushed_back()
    gate.first_token(9.0, 0.1)
    assert len(await filled(gate, 10)) == 10
