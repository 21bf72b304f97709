"""A source of a shared call whose test says what comes, and when."""

import asyncio
from collections.abc import Sequence

from llmgateway_server.domain.answer import Answer, Finish, FinishReason, Route, Usage
from llmgateway_server.domain.coalesce import content_size
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.events import StreamEvent, StreamStart, TextDelta
from llmgateway_server.domain.fold import Fold

ROUTE = Route("p", "m", provider_request_id="req-1", time_to_first_token=0.5)
START = StreamStart("SOURCE", "p/m", ROUTE)
USAGE = Usage(10, 5, cost_nano_usd=700)
FINISH = Finish(FinishReason.STOP, "stop", total_duration=2.0)
END: list[StreamEvent] = [USAGE, FINISH]


class SharedSource:
    """Gives the batches that `feed` was called with; fulfils `Source`.

    `taken` is what was read from it, `task` who read it.
    """

    def __init__(self, deadline: float = 0.0) -> None:
        self.route = ROUTE
        self.dropped: tuple[str, ...] = ("sampling.top_k",)
        self.failures: tuple[GatewayError, ...] = ()
        self.response_id = "SOURCE"
        self.deadlines = [deadline]
        self.taken: list[StreamEvent] = []
        self.fed: list[Sequence[StreamEvent] | BaseException] = []
        self.closed_by: list[asyncio.Task[object] | None] = []
        self.made_by = asyncio.current_task()
        self._news = asyncio.Event()

    def feed(self, batch: Sequence[StreamEvent] | BaseException) -> None:
        """Lets the next read give these events, or raise this error."""
        self.fed.append(batch)
        self._news.set()

    async def read(self) -> Sequence[StreamEvent]:
        """The next batch, once there is one."""
        assert asyncio.current_task() is self.made_by
        while not self.fed:
            self._news.clear()
            await self._news.wait()
        batch = self.fed.pop(0)
        if isinstance(batch, BaseException):
            raise batch
        self.taken += batch
        return batch

    def close(self) -> None:
        """Remembers who closed it."""
        self.closed_by.append(asyncio.current_task())

    def extend(self, deadline: float) -> None:
        """Remembers the deadline, which never moves back."""
        assert deadline > self.deadlines[-1]
        self.deadlines.append(deadline)

    @property
    def taken_content(self) -> int:
        """The characters of content that were read from it."""
        return sum(map(content_size, self.taken))


def fold(events: Sequence[StreamEvent]) -> Answer:
    """The answer that a stream tells."""
    folding = Fold()
    for event in events:
        folding.add(event)
    return folding.answer()


def text(*pieces: str) -> list[StreamEvent]:
    """A delta for each piece, of the same part."""
    return [TextDelta(0, piece) for piece in pieces]
