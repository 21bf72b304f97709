"""The stream writer: heartbeats, coalescing and the end of a stuck reader, on a virtual clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import Finish, FinishReason
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.transport.grpc.mapping.request import StreamOptions
from llmgateway_server.transport.grpc.writer import StreamWriter
from support.virtual_time import run_virtual


class Wire:
    """Takes messages; each write lasts `takes` seconds, and only one may be in flight."""

    def __init__(self, takes: float = 0.0) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self._takes = takes
        self._busy = False

    async def write(self, message: bytes) -> None:
        assert not self._busy
        self._busy = True
        try:
            await asyncio.sleep(self._takes)
        finally:
            self._busy = False
        self.sent.append((asyncio.get_running_loop().time(), message))

    @property
    def beats(self) -> list[float]:
        return [when for when, message in self.sent if not message]

    @property
    def texts(self) -> list[tuple[float, str]]:
        return [
            (when, "".join(d.text for d in pb.GenerateStreamResponse.FromString(m).deltas))
            for when, m in self.sent
            if m
        ]


def run(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


def test_silence_is_filled_with_heartbeats() -> None:
    async def main() -> None:
        wire = Wire()
        writer = StreamWriter(wire.write, StreamOptions(heartbeat_interval=15.0))
        await asyncio.sleep(50)
        writer.close()
        await asyncio.sleep(50)
        assert wire.beats == [15.0, 30.0, 45.0]

    run(main())


def test_a_message_postpones_the_next_heartbeat() -> None:
    async def main() -> None:
        wire = Wire()
        writer = StreamWriter(wire.write, StreamOptions(heartbeat_interval=15.0))
        await asyncio.sleep(10)
        await writer.send([TextDelta(0, "a")], last=False)
        await asyncio.sleep(20)
        writer.close()
        assert wire.texts == [(10.0, "a")]
        assert wire.beats == [25.0]

    run(main())


def test_a_message_waits_for_the_heartbeat_that_is_being_written() -> None:
    async def main() -> None:
        wire = Wire(takes=4.0)
        writer = StreamWriter(wire.write, StreamOptions(heartbeat_interval=15.0))
        await asyncio.sleep(17)
        await writer.send([TextDelta(0, "a")], last=False)
        writer.close()
        assert wire.beats == [19.0]
        assert wire.texts == [(23.0, "a")]

    run(main())


def test_no_heartbeat_is_sent_into_a_write_that_is_stuck() -> None:
    async def main() -> None:
        wire = Wire(takes=28.0)
        writer = StreamWriter(wire.write, StreamOptions(heartbeat_interval=5.0))
        await writer.send([TextDelta(0, "a")], last=False)
        writer.close()
        assert wire.beats == []

    run(main())


def test_a_heartbeat_that_fails_is_the_calls_own_task_to_notice() -> None:
    async def main() -> None:
        async def gone(_message: bytes) -> None:
            raise RuntimeError("the caller has gone")

        writer = StreamWriter(gone, StreamOptions(heartbeat_interval=1.0))
        await asyncio.sleep(3)
        writer.close()

    run(main())


def test_a_reader_that_is_stuck_for_half_a_minute_loses_its_call() -> None:
    async def main() -> None:
        writer = StreamWriter(Wire(takes=3600.0).write, StreamOptions())
        with pytest.raises(GatewayError) as caught:
            await writer.send([TextDelta(0, "a")], last=False)
        writer.close()
        assert caught.value.reason is Reason.READER_TOO_SLOW
        assert asyncio.get_running_loop().time() == 30.0

    run(main())


def test_a_batch_becomes_one_message() -> None:
    async def main() -> None:
        wire = Wire()
        writer = StreamWriter(wire.write, StreamOptions())
        await writer.send([TextDelta(0, "a"), TextDelta(0, "b")], last=False)
        writer.close()
        message = pb.GenerateStreamResponse.FromString(wire.sent[0][1])
        assert [delta.text for delta in message.deltas] == ["ab"]

    run(main())


def test_a_huge_piece_is_sent_in_messages_that_every_client_accepts() -> None:
    async def main() -> None:
        wire = Wire()
        writer = StreamWriter(wire.write, StreamOptions())
        text = "aé" * 500_000
        await writer.send([TextDelta(0, text)], last=False)
        writer.close()
        assert max(len(message) for _, message in wire.sent) < 256 * 1024
        assert "".join(text for _, text in wire.texts) == text

    run(main())


def test_a_coalesce_delay_holds_back_the_next_read_but_not_the_end() -> None:
    async def main() -> None:
        wire = Wire()
        loop = asyncio.get_running_loop()
        writer = StreamWriter(wire.write, StreamOptions(max_coalesce_delay=0.1))
        await writer.send([TextDelta(0, "a")], last=False)
        assert loop.time() == pytest.approx(0.1)
        await writer.send([Finish(FinishReason.STOP)], last=True)
        assert loop.time() == pytest.approx(0.1)
        writer.close()

    run(main())
