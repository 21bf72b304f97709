"""What shared calls may take: read-ahead, memory, timers."""

import asyncio
from collections.abc import Sequence

from llmgateway_server.cache.flight import JOINABLE, READ_AHEAD
from llmgateway_server.cache.flights import Reader
from llmgateway_server.domain.events import StreamEvent
from support.shared_calls import Shared, rest, scenario, settle
from support.shared_source import END, START, fold, text


def test_upstream_is_read_64_kib_ahead_of_the_fastest_reader() -> None:
    async def body(shared: Shared) -> None:
        fast, slow = await shared.leading(), shared.join()
        piece = "x" * 1000
        shared.source.feed([START])
        for _ in range(200):
            shared.source.feed(text(piece))
        await settle_long()
        assert READ_AHEAD <= shared.source.taken_content < READ_AHEAD + 1000
        await fast.read()
        await settle_long()
        assert 2 * READ_AHEAD <= shared.source.taken_content < 2 * READ_AHEAD + 2000
        # Of those who stay the fastest has read nothing yet: it counts from now on.
        await fast.read()
        fast.close()
        await settle_long()
        assert shared.source.taken_content < 2 * READ_AHEAD + 2000
        await slow.read()
        await settle_long()
        assert shared.source.taken_content >= 3 * READ_AHEAD
        shared.source.feed(END)
        await rest(slow)
        slow.close()

    scenario(body)


async def settle_long() -> None:
    for _ in range(300):
        await asyncio.sleep(0)


def test_a_large_answer_takes_no_one_more_and_keeps_only_what_is_unread() -> None:
    async def body(shared: Shared) -> None:
        leader, slow = await shared.leading(), shared.join()
        piece = "x" * READ_AHEAD
        seen: list[StreamEvent] = []
        shared.source.feed([START])
        for _ in range(JOINABLE // READ_AHEAD):
            shared.source.feed(text(piece))
            seen += await _after_settling(leader)
        joined = shared.join()
        assert not joined.is_leader
        joined.close()
        shared.source.feed(text("one too many"))
        seen += await _after_settling(leader)
        log = leader._flight.log
        assert log.content > JOINABLE
        other = await shared.leading()
        assert other.is_leader
        shared.source.feed([START, *END])
        await rest(other)
        other.close()
        assert len(shared.answers) == 1
        events = [*await slow.read()]
        shared.sources[0].feed(text("b"))
        await settle()
        assert log.content < READ_AHEAD
        shared.sources[0].feed(END)
        assert fold(seen + await rest(leader)).parts == fold(events + await rest(slow)).parts
        leader.close()
        slow.close()
        # It could not be kept either.
        assert len(shared.answers) == 1

    scenario(body)


async def _after_settling(reader: Reader) -> Sequence[StreamEvent]:
    await settle()
    return await reader.read()


def test_the_end_of_a_large_answer_does_not_unlist_the_one_after_it() -> None:
    async def body(shared: Shared) -> None:
        large = await shared.leading()
        shared.source.feed([START, *text("x" * (JOINABLE + 1))])
        await settle()
        second = await shared.leading()
        shared.sources[0].feed(END)
        await rest(large)
        third = shared.join()
        assert not third.is_leader
        for reader in (large, second, third):
            reader.close()

    scenario(body)


def test_a_long_answer_is_kept_in_few_events() -> None:
    async def body(shared: Shared) -> None:
        leader = await shared.leading()
        shared.source.feed([START])
        for _ in range(2000):
            shared.source.feed(text("tok"))
            await leader.read()
        assert len(leader._flight.log.after(leader._flight.log.first)) < 300
        follower = shared.join()
        assert [*await follower.read()][1:] == text("tok" * 2000)
        shared.source.feed(END)
        await rest(leader)
        leader.close()
        follower.close()
        assert shared.answers[0].parts == fold([START, *text("tok" * 2000), *END]).parts

    scenario(body)


def test_a_long_answer_stays_whole_for_a_reader_that_is_behind() -> None:
    async def body(shared: Shared) -> None:
        leader, slow = await shared.leading(), shared.join()
        shared.source.feed([START])
        for number in range(2000):
            shared.source.feed(text("tok"))
            await leader.read()
            if number == 700:
                assert [*await slow.read()][1:] == text("tok" * 701)
        assert [*await slow.read()] == text("tok" * 1299)
        leader.close()
        slow.close()

    scenario(body)


def test_a_thousand_reads_wait_by_one_timer() -> None:
    async def body(shared: Shared) -> None:
        loop = asyncio.get_running_loop()
        reader = await shared.leading()
        armed = len(loop._scheduled)  # type: ignore[attr-defined]
        shared.source.feed([START])
        for _ in range(1000):
            shared.source.feed(text("a"))
            await reader.read()
        assert len(loop._scheduled) == armed  # type: ignore[attr-defined]
        reader.close()

    scenario(body)
