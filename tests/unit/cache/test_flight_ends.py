"""How shared calls end before their time: failures, bugs, deadlines, the shutdown."""

import asyncio

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from support.shared_calls import Shared, failing, rest, scenario, settle
from support.shared_source import END, FINISH, START, USAGE, SharedSource, fold, text

CAUSE = AttemptFailure("p", "m", 500)


def test_a_failure_reaches_each_reader_as_its_own() -> None:
    async def body(shared: Shared) -> None:
        leader = await shared.leading()
        shared.source.feed([START, *text("a")])
        await leader.read()
        error = GatewayError(
            Reason.STREAM_INTERRUPTED, "broke off", retry_after=3.0, metadata=(("cause", "X"),)
        )
        error.attempts, error.usage = (CAUSE,), USAGE
        error.response_id, error.partial_output_sent = "SOURCE", True
        shared.source.feed(error)
        follower = shared.join()
        early = await failing(leader)
        late = await failing(follower)
        for own, reader, usage in (
            (early, leader, USAGE),
            (late, follower, replace(USAGE, cost_nano_usd=0)),
        ):
            assert own.reason is Reason.STREAM_INTERRUPTED
            assert str(own) == own.message == "broke off"
            assert (own.retry_after, own.attempts) == (3.0, (CAUSE,))
            assert own.metadata == (("cause", "X"),)
            assert own.response_id == reader.response_id
            assert own.partial_output_sent
            assert own.usage == usage
        assert len({id(early), id(late), id(error)}) == 3
        leader.close()
        follower.close()

    scenario(body)


def test_who_was_given_no_content_may_try_again() -> None:
    async def body(shared: Shared) -> None:
        reader = await shared.leading()
        error = GatewayError(Reason.PROVIDER_ERROR, "no")
        error.partial_output_sent = True
        shared.source.feed([START])
        shared.source.feed(error)
        assert not (await failing(reader)).partial_output_sent
        # The next call starts anew while this one is not even closed.
        second = await shared.leading()
        assert second.is_leader
        second.close()
        reader.close()

    scenario(body)


def test_a_call_that_cannot_start_fails_for_all() -> None:
    async def body(shared: Shared) -> None:
        def start(_: float) -> SharedSource:
            raise GatewayError(Reason.MODEL_NOT_FOUND, "no such model")

        readers = [shared.flights.join(b"k", 9.0, start) for _ in range(2)]
        for reader in readers:
            assert (await failing(reader)).reason is Reason.MODEL_NOT_FOUND
            reader.close()

    scenario(body)


def test_a_bug_reaches_all_readers_as_it_is_and_is_not_logged_twice() -> None:
    async def body(shared: Shared) -> None:
        readers = [await shared.leading(), shared.join()]
        bug = ZeroDivisionError("a bug")
        shared.source.feed(bug)
        for reader in readers:
            with pytest.raises(ZeroDivisionError) as caught:
                await reader.read()
            assert caught.value is bug
            reader.close()

    scenario(body)


def test_a_deadline_ends_the_wait_of_its_own_reader_only() -> None:
    async def body(shared: Shared) -> None:
        loop = asyncio.get_running_loop()
        patient = shared.join(deadline=50.0)
        hasty = shared.join(deadline=5.0)
        await settle()
        shared.source.feed([START, *text("a")])
        await hasty.read()
        error = await failing(hasty)
        assert loop.time() == pytest.approx(5.0)
        assert error.reason is Reason.DEADLINE_EXCEEDED
        assert error.message == "the call's deadline passed before the answer ended"
        assert error.partial_output_sent
        assert error.response_id == hasty.response_id
        # However often it asks, and although there would be more by now.
        shared.source.feed(text("b"))
        await settle()
        assert (await failing(hasty)).reason is Reason.DEADLINE_EXCEEDED
        hasty.close()
        shared.source.feed(END)
        await rest(patient)
        patient.close()

    scenario(body)


def test_the_source_tells_of_the_last_deadline_what_only_it_knows() -> None:
    async def body(shared: Shared) -> None:
        reader = shared.join(deadline=5.0)
        await settle()
        due = GatewayError(Reason.DEADLINE_EXCEEDED, "too late")
        due.usage = USAGE
        asyncio.get_running_loop().call_at(5.01, lambda: shared.source.feed(due))
        error = await failing(reader)
        assert error.usage == USAGE
        reader.close()

    scenario(body)


def test_a_source_that_overlooks_its_deadline_keeps_nobody_waiting() -> None:
    async def body(shared: Shared) -> None:
        reader = shared.join(deadline=5.0)
        await settle()
        assert (await failing(reader)).reason is Reason.DEADLINE_EXCEEDED
        assert asyncio.get_running_loop().time() == pytest.approx(5.05)
        reader.close()

    scenario(body)


def test_an_answer_that_is_there_is_given_after_the_deadline() -> None:
    async def body(shared: Shared) -> None:
        reader = shared.join(deadline=5.0)
        await settle()
        shared.source.feed([START, *text("a"), *END])
        await asyncio.sleep(6.0)
        assert fold(await rest(reader)).finish == FINISH
        reader.close()

    scenario(body)


def test_the_deadline_upstream_is_the_latest_of_all_and_only_moves_on() -> None:
    async def body(shared: Shared) -> None:
        readers = [shared.join(deadline=5.0), shared.join(deadline=7.0)]
        await settle()
        assert shared.source.deadlines == [7.0]
        readers += [shared.join(deadline=deadline) for deadline in (6.0, 9.0, 8.0)]
        assert shared.source.deadlines == [7.0, 9.0]
        for reader in readers:
            reader.close()

    scenario(body)


def test_the_shutdown_tells_those_who_still_read_and_waits_for_the_closing() -> None:
    async def body(shared: Shared) -> None:
        leader, unborn = await shared.leading(), shared.join(b"other")
        await shared.flights.shutdown()
        assert len(shared.flights) == 0
        assert len(shared.source.closed_by) == 1
        for reader in (leader, unborn):
            assert (await failing(reader)).reason is Reason.GATEWAY_DRAINING
            reader.close()

    scenario(body)


def test_a_reader_that_is_closed_is_not_read() -> None:
    async def body(shared: Shared) -> None:
        reader = await shared.leading()
        reading = asyncio.ensure_future(reader.read())
        await settle()
        reader.close()
        with pytest.raises(RuntimeError):
            await reading

    scenario(body)
