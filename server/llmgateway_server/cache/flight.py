"""One upstream call and all who read its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from llmgateway_server.cache.event_log import EventLog
from llmgateway_server.domain.answer import Answer, Finish, Route
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import Recovery, RecoveryKind, StreamEvent, StreamStart
from llmgateway_server.domain.fold import Fold

READ_AHEAD: Final = 64 * 1024
"""Characters of content that are read ahead of the fastest reader."""
JOINABLE: Final = 4 * 1024 * 1024
"""Characters of content up to which a flight keeps what somebody new would have to read."""
# So many events of a token each are worth to be merged.
_WORTH_MERGING = 256


class Source(Protocol):
    """An answer on its way, such as the gateway's `Generation`.

    It is made, read and closed by one task; everything else may come from other tasks, and tells
    what is known so far.
    """

    @property
    def route(self) -> Route:
        """Who answers."""

    @property
    def dropped(self) -> tuple[str, ...]:
        """The fields of the request that the model could not take."""

    @property
    def failures(self) -> tuple[GatewayError, ...]:
        """The errors of upstream attempts, in order."""

    @property
    def response_id(self) -> str:
        """The answer's own id, which no reader gets to see."""

    async def read(self) -> Sequence[StreamEvent]:
        """What became available; StreamStart first of all, Finish last of all.

        Raises:
            GatewayError: the call failed.
        """

    def close(self) -> None:
        """Gives everything back at once."""

    def extend(self, deadline: float) -> None:
        """Moves the deadline (loop time) on; it never moves back."""


class Follower(Protocol):
    """A reader, as its flight sees it: how far it has come."""

    position: int
    consumed: int

    def wake(self) -> None:
        """Tells it that there are news."""


class Flight:
    """An upstream call in a task of its own, for as long as anyone reads it.

    `start` and `finished` are called in that task, `unlist` once nobody new may join: at its end,
    or when it has become too large to keep all of it for somebody who comes late.
    """

    def __init__(
        self,
        deadline: float,
        start: Callable[[float], Source],
        finished: Callable[[Answer], None] | None,
        unlist: Callable[[], None],
    ) -> None:
        self.deadline = deadline
        self.source: Source | None = None
        self.first: StreamStart | None = None
        self.log = EventLog()
        self.has_ended = False
        self.failure: BaseException | None = None
        self._finished = finished
        self._unlist = unlist
        self._is_whole = True
        # In the order in which they joined.
        self._readers: dict[Follower, None] = {}
        self._payer: Follower | None = None
        # How much content the reader has read that has read most.
        self._furthest = 0
        self._room: asyncio.Future[None] | None = None
        self.task = asyncio.create_task(self._produce(start), name="shared call")

    def join(self, reader: Follower, deadline: float) -> None:
        """Takes a reader in, at the start of the answer."""
        reader.position = self.log.first
        reader.consumed = self.log.produced - self.log.content
        self._readers[reader] = None
        if deadline > self.deadline:
            self.deadline = deadline
            if self.source is not None:
                self.source.extend(deadline)

    def leave(self, reader: Follower) -> None:
        """Lets a reader go; the last one takes an unfinished call with it."""
        del self._readers[reader]
        if not self._readers:
            self.cancel()
        elif not self.has_ended:
            self._furthest = max(each.consumed for each in self._readers)

    def caught_up(self, reader: Follower) -> None:
        """A reader has read all that there is."""
        reader.position = self.log.end
        reader.consumed = self._furthest = self.log.produced
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def is_paid_by(self, reader: Follower) -> bool:
        """Whether the call's cost is this reader's: of those who are there, the first to come."""
        payer = self._payer if self.has_ended else next(iter(self._readers), None)
        return payer is reader

    def cancel(self) -> None:
        """Ends the call where it has not ended; whoever still reads is told that we drain."""
        if not self.has_ended:
            self._end(_cancelled())
            self.task.cancel()

    async def _produce(self, start: Callable[[float], Source]) -> None:
        try:
            self.source = start(self.deadline)
            while not self.has_ended:
                self._take(await self.source.read())
                await self._room_to_read_on()
        except asyncio.CancelledError:
            # Of the whole loop, where it was not ours.
            self._end(_cancelled())
            raise
        except Exception as error:  # whatever it is, the readers have to hear of it
            self._end(error)
        finally:
            if self.source is not None:
                self.source.close()
        if self.failure is None and self._is_whole and self._finished is not None:
            self._finished(self._answer())

    def _take(self, events: Sequence[StreamEvent]) -> None:
        if self.has_ended or not events:
            return
        for event in events:
            if isinstance(event, StreamStart):
                self.first = event
                continue
            if isinstance(event, Recovery) and event.kind is RecoveryKind.RESTARTED:
                self._restart()
            self.log.append(event)
        self._tidy()
        if isinstance(events[-1], Finish):
            self._end(None)
        else:
            self._wake()

    def _restart(self) -> None:
        """What came before a restart counts for nobody any more."""
        self.log.drop_before(self.log.end)
        self._furthest = self.log.produced
        for reader in self._readers:
            reader.position = self.log.end
            reader.consumed = self.log.produced

    def _tidy(self) -> None:
        if self._is_whole and self.log.content > JOINABLE:
            self._is_whole = False
            self._unlist()
        if not self._is_whole:
            self.log.drop_before(min(reader.position for reader in self._readers))
        elif self.log.unmerged >= _WORTH_MERGING:
            self.log.merge_before(min(reader.position for reader in self._readers))

    async def _room_to_read_on(self) -> None:
        while not self.has_ended and self.log.produced - self._furthest >= READ_AHEAD:
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _end(self, failure: BaseException | None) -> None:
        if self.has_ended:
            return
        self.has_ended = True
        self.failure = failure
        self._payer = next(iter(self._readers), None)
        self._unlist()
        self._wake()

    def _wake(self) -> None:
        for reader in self._readers:
            reader.wake()

    def _answer(self) -> Answer:
        fold = Fold()
        if self.first is not None:
            fold.add(self.first)
        for event in self.log.after(self.log.first):
            fold.add(event)
        return fold.answer()


def _cancelled() -> GatewayError:
    return GatewayError(
        Reason.GATEWAY_DRAINING,
        "this gateway is shutting down; another replica will answer",
        retry_after=1.0,
    )
