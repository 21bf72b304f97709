"""Stream events to messages: coalesced, with heartbeats, and never stuck on a slow reader."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from llmgateway_server.domain.coalesce import merge, split
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import StreamEvent, TextDelta
from llmgateway_server.gateway.alarm import Alarm
from llmgateway_server.transport.grpc.boundary import Write
from llmgateway_server.transport.grpc.mapping.request import StreamOptions
from llmgateway_server.transport.grpc.mapping.response import encode, text_message

# Characters of content in one message; far below the 4 MiB that clients accept by default.
_MESSAGE_LIMIT = 64 * 1024
_STUCK_AFTER = 30.0
_HEARTBEAT = b""


class StreamWriter:
    """Writes one stream for the task that serves the call.

    Nothing is queued: while a write is in flight the provider's bytes collect in the receive
    buffer, and the next read returns all of them as one batch. That is law 4 without a second
    task; a reader that is slow is felt by the provider after 64 KiB.
    """

    def __init__(self, write: Write, options: StreamOptions) -> None:
        self._write = write
        self._interval = options.heartbeat_interval
        self._coalesce_delay = options.max_coalesce_delay
        self._loop = asyncio.get_running_loop()
        self._alarm = Alarm()
        self._last_write = self._loop.time()
        self._beat_timer = self._loop.call_later(self._interval, self._beat)
        self._beat_task: asyncio.Task[None] | None = None
        self._writing = False

    async def send(self, events: Sequence[StreamEvent], *, last: bool) -> None:
        """Writes a batch; `last` says that nothing comes after it.

        Raises:
            GatewayError: READER_TOO_SLOW, a write was stuck for 30 s.
        """
        try:
            for message in _messages(events):
                due = self._loop.time() + _STUCK_AFTER
                if self._beat_task is not None:
                    # grpc takes one write at a time.
                    with self._alarm.at(due):
                        await self._beat_task
                    self._beat_task = None
                self._writing = True
                with self._alarm.at(due):
                    await self._write(message)
        except TimeoutError:
            raise GatewayError(
                Reason.READER_TOO_SLOW, f"the stream was not read for {_STUCK_AFTER:g} s"
            ) from None
        finally:
            self._writing = False
            self._last_write = self._loop.time()
        if self._coalesce_delay and not last:
            # What arrives meanwhile waits unread and comes out of the next read together.
            await asyncio.sleep(self._coalesce_delay)

    def close(self) -> None:
        """Stops the heartbeats."""
        self._beat_timer.cancel()
        self._alarm.close()
        if self._beat_task is not None:
            self._beat_task.cancel()

    def _beat(self) -> None:
        now = self._loop.time()
        due = self._last_write + self._interval
        if due <= now:
            if not self._writing:
                self._writing = True
                self._beat_task = self._loop.create_task(self._write_beat())
            due = now + self._interval
        self._beat_timer = self._loop.call_at(due, self._beat)

    async def _write_beat(self) -> None:
        try:
            # A caller that has gone is the call's own task to notice.
            with contextlib.suppress(Exception):
                await self._write(_HEARTBEAT)
        finally:
            self._writing = False
            self._last_write = self._loop.time()


def _messages(events: Sequence[StreamEvent]) -> Sequence[bytes]:
    """The serialised messages that hold a batch; nearly always it is one text delta."""
    if len(events) == 1:
        event = events[0]
        if type(event) is TextDelta and len(event.text) <= _MESSAGE_LIMIT:
            return (text_message(event),)
    return [encode(run) for run in split(merge(events), _MESSAGE_LIMIT)]
