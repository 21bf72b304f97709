"""Identical calls in flight: one call upstream, a whole answer for each."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.answer import CacheStatus, Route, Usage
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import (
    Recovery,
    RecoveryKind,
    StreamEvent,
    StreamStart,
    TextDelta,
)
from support.shared_calls import Shared, failing, rest, scenario, settle
from support.shared_source import END, FINISH, ROUTE, START, USAGE, fold, text

OTHER = Route("q", "n", attempt_count=2)
CAUSE = AttemptFailure("p", "m", 500)
RESTARTED = Recovery(RecoveryKind.RESTARTED, OTHER, CAUSE)
CONTINUED = Recovery(RecoveryKind.CONTINUED, OTHER, CAUSE)


def test_a_call_alone_gets_the_answer_under_an_id_of_its_own() -> None:
    async def body(shared: Shared) -> None:
        reader = await shared.leading()
        shared.source.feed([START, *text("a")])
        first = await reader.read()
        assert first == [
            StreamStart(reader.response_id, "p/m", replace(ROUTE, cache_status=CacheStatus.MISS)),
            TextDelta(0, "a"),
        ]
        shared.source.feed([*text("b"), *END])
        assert [*await reader.read()] == [TextDelta(0, "b"), USAGE, FINISH]
        assert [*await reader.read()] == []
        reader.close()
        assert reader.is_leader
        assert reader.response_id != "SOURCE"

    scenario(body)


def test_one_that_comes_late_gets_at_once_what_there_is_and_then_the_rest() -> None:
    async def body(shared: Shared) -> None:
        leader = await shared.leading()
        shared.source.feed([START, *text("a", "b")])
        await leader.read()
        shared.source.feed(text("c"))
        await leader.read()
        follower = shared.join()
        assert not follower.is_leader
        shared_route = replace(ROUTE, cache_status=CacheStatus.SHARED)
        assert [*await follower.read()] == [
            StreamStart(follower.response_id, "p/m", shared_route),
            TextDelta(0, "abc"),
        ]
        assert follower.route == shared_route
        assert follower.dropped == leader.dropped == ("sampling.top_k",)
        shared.source.feed([*text("d"), *END])
        assert [*await follower.read()] == [
            TextDelta(0, "d"),
            replace(USAGE, cost_nano_usd=0),
            FINISH,
        ]
        assert [*await leader.read()] == [TextDelta(0, "d"), USAGE, FINISH]
        assert len({leader.response_id, follower.response_id}) == 2
        leader.close()
        follower.close()
        assert len(shared.sources) == 1

    scenario(body)


def test_other_keys_are_other_calls() -> None:
    async def body(shared: Shared) -> None:
        readers = [shared.join(b"k"), shared.join(b"l")]
        await settle()
        assert len(shared.sources) == 2
        assert all(reader.is_leader for reader in readers)
        for reader in readers:
            reader.close()

    scenario(body)


def test_an_answer_that_has_ended_is_not_joined() -> None:
    async def body(shared: Shared) -> None:
        first = await shared.leading()
        shared.source.feed([START, *END])
        await settle()
        second = await shared.leading()
        assert second.is_leader
        assert len(shared.sources) == 2
        second.close()
        await rest(first)
        first.close()

    scenario(body)


def test_a_whole_answer_is_handed_on_even_to_no_one() -> None:
    async def body(shared: Shared) -> None:
        reader = await shared.leading()
        shared.source.feed([START, *text("a")])
        shared.source.feed([CONTINUED, *text("b"), *END])
        await settle()
        assert shared.answers == [fold([START, *text("ab"), CONTINUED, *END])]
        reader.close()

    scenario(body)


def test_a_failed_or_abandoned_answer_is_not_handed_on() -> None:
    async def body(shared: Shared) -> None:
        reader = await shared.leading()
        shared.source.feed([START, *text("a")])
        await reader.read()
        reader.close()
        failed = await shared.leading()
        shared.source.feed(GatewayError(Reason.PROVIDER_ERROR, "no"))
        await failing(failed)
        failed.close()
        assert shared.answers == []

    scenario(body)


def test_the_call_upstream_ends_with_its_last_reader() -> None:
    async def body(shared: Shared) -> None:
        leader, follower = await shared.leading(), shared.join()
        leader.close()
        leader.close()
        await settle()
        assert shared.source.closed_by == []
        follower.close()
        await settle()
        assert len(shared.source.closed_by) == 1

    scenario(body)


def test_the_leader_leaves_and_the_others_go_on() -> None:
    async def body(shared: Shared) -> None:
        leader = await shared.leading()
        reading = asyncio.create_task(rest(leader))
        follower = shared.join()
        shared.source.feed([START, *text("a")])
        await settle()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        leader.close()
        shared.source.feed([*text("b"), *END])
        answer = fold(await rest(follower))
        assert answer.parts == fold([START, *text("ab"), *END]).parts
        # Somebody pays: who came next.
        assert answer.usage == USAGE
        follower.close()

    scenario(body)


def test_one_pays_once_whoever_leaves_first() -> None:
    async def body(shared: Shared) -> None:
        leader, follower = await shared.leading(), shared.join()
        shared.source.feed([START, *text("a"), *END])
        assert fold(await rest(leader)).usage == USAGE
        leader.close()
        assert fold(await rest(follower)).usage == replace(USAGE, cost_nano_usd=0)
        follower.close()

    scenario(body)


def test_a_cost_that_nobody_knows_stays_unknown() -> None:
    async def body(shared: Shared) -> None:
        readers = [await shared.leading(), shared.join()]
        shared.source.feed([START, Usage(1, 2), FINISH])
        for reader in readers:
            assert fold(await rest(reader)).usage == Usage(1, 2)
            reader.close()

    scenario(body)


def test_a_call_that_is_closed_before_it_began_is_never_made() -> None:
    async def body(shared: Shared) -> None:
        reader = shared.join()
        reader.close()
        await settle()
        assert shared.sources == []
        assert reader.route == Route("", "", attempt_count=0, cache_status=CacheStatus.MISS)
        assert reader.dropped == ()
        assert reader.failures == ()

    scenario(body)


@pytest.mark.parametrize("turns", range(6))
def test_a_cancel_inside_a_read_loses_nothing(turns: int) -> None:
    async def body(shared: Shared) -> None:
        reader = await shared.leading()
        reading = asyncio.ensure_future(reader.read())
        await settle()
        shared.source.feed([START, *text("a")])
        for _ in range(turns):
            await asyncio.sleep(0)
        seen: list[StreamEvent] = []
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            seen += await reading
        shared.source.feed(END)
        seen += await rest(reader)
        assert fold(seen).parts == fold([START, *text("a"), *END]).parts
        reader.close()

    scenario(body)


def test_one_that_comes_after_a_restart_begins_there() -> None:
    async def body(shared: Shared) -> None:
        leader = await shared.leading()
        shared.source.feed([START, *text("wrong")])
        seen = [*await leader.read()]
        shared.source.feed([RESTARTED, *text("right")])
        await settle()
        follower = shared.join()
        shared.source.feed(END)
        late = await rest(follower)
        assert late[:2] == [
            StreamStart(
                follower.response_id, "p/m", replace(OTHER, cache_status=CacheStatus.SHARED)
            ),
            TextDelta(0, "right"),
        ]
        seen += await rest(leader)
        assert (
            Recovery(RecoveryKind.RESTARTED, replace(OTHER, cache_status=CacheStatus.MISS), CAUSE)
            in seen
        )
        assert fold(seen).parts == fold(late).parts
        assert shared.answers == [fold(shared.source.taken)]
        leader.close()
        follower.close()

    scenario(body)


def test_a_continued_answer_is_told_as_such_to_all() -> None:
    async def body(shared: Shared) -> None:
        leader = await shared.leading()
        shared.source.feed([START, *text("a"), CONTINUED, *text("b"), *END])
        follower = shared.join()
        for reader in (leader, follower):
            events = await rest(reader)
            assert sum(isinstance(event, Recovery) for event in events) == 1
            assert fold(events).route == replace(OTHER, cache_status=reader.route.cache_status)
            reader.close()

    scenario(body)
