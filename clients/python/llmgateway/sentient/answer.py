"""One answer on its way from the gateway to the one who reads it."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import grpc
import grpc.aio
from starlette.types import Receive, Send

from llmgateway._errors import Failure, GatewayError, InternalError
from llmgateway._status import error_from_rpc
from llmgateway.sentient.events import EventStream
from llmgateway.v1.generation_service_pb2 import GenerateStreamResponse

_LOG = logging.getLogger(__name__)

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-cache"),
        # nginx and its like would hold the events back.
        (b"x-accel-buffering", b"no"),
    ],
}


class Answer:
    """Copies a call's messages to an ASGI server, each as one write.

    Nothing is queued: the next message is read when the server has taken the one before, so a slow
    reader is felt by the gateway, and by the provider in the end. Whatever happens, the last event
    is `done`.

    Args:
        call: The gateway's stream, not yet read from.
        events: What makes events of its messages.
    """

    def __init__(
        self, call: grpc.aio.UnaryStreamCall[Any, GenerateStreamResponse], events: EventStream
    ) -> None:
        self._call = call
        self._events = events
        self._is_ended = False
        self._error: GatewayError | None = None

    async def run(self, receive: Receive, send: Send) -> None:
        """Sends the answer; returns at its end, or soon after the reader has gone."""
        watch = asyncio.create_task(self._watch(receive))
        try:
            await send(_START)
            last = await self._copy(send)
            await send({"type": "http.response.body", "body": last, "more_body": False})
        finally:
            self._call.cancel()
            watch.cancel()

    def end(self, error: GatewayError | None) -> None:
        """Ends the answer now, with this error; None: nobody reads it any more."""
        self._is_ended = True
        self._error = error
        self._call.cancel()

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.end(None)

    async def _copy(self, send: Send) -> bytes:
        """All events but the last ones, which it returns."""
        feed = self._events.feed
        try:
            # Not call.read(): that one looks for no more messages once the status is in.
            async for message in self._call:
                events = feed(message)
                if events:
                    await send({"type": "http.response.body", "body": events, "more_body": True})
            return self._events.finish()
        except grpc.aio.AioRpcError as error:
            return self._events.fail(error_from_rpc(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._is_ended or (task is not None and task.cancelling()):
                raise
            return self._events.fail(self._error) if self._error else b""
        except Exception as error:
            # Not the error's own text: it may quote what somebody typed.
            where = traceback.extract_tb(error.__traceback__)[-1]
            name = type(error).__name__
            _LOG.error("the bridge failed: %s at %s:%s", name, where.name, where.lineno)
            text = "the bridge failed"
            failure = Failure(code=grpc.StatusCode.INTERNAL, reason="INTERNAL", message=text)
            return self._events.fail(InternalError(failure))
