"""What a stream is apart from its I/O: the same for blocking and asyncio callers."""

from __future__ import annotations

from collections import deque

import grpc

from llmgateway._errors import Failure, GatewayError, TransportError
from llmgateway._events import Event, events_of
from llmgateway._fold import Fold
from llmgateway._response import Response
from llmgateway._status import Trailers, error_from_rpc, request_id
from llmgateway.v1.generation_service_pb2 import GenerateStreamResponse


class StreamState:
    """The fold of what came, the events not yet taken, and how it ended."""

    def __init__(self) -> None:
        self._fold = Fold()
        self._request_id = ""
        self._error: GatewayError | None = None
        self.pending: deque[Event] = deque()
        self.ended = False

    def add(self, message: GenerateStreamResponse) -> None:
        """Takes the next message; a heartbeat leaves nothing pending."""
        self._fold.add(message)
        self.pending.extend(events_of(message))

    def end(self, trailers: Trailers | None) -> None:
        """The status is OK.

        Raises:
            TransportError: but no finish came, so something on the way cut the answer (law 2).
        """
        self.ended = True
        self._request_id = request_id(trailers)
        if not self._fold.finished:
            self._error = TransportError(
                Failure(
                    code=grpc.StatusCode.DATA_LOSS,
                    message="the stream ended without its finish: the answer is cut off",
                    partial=self._partial(),
                    request_id=self._request_id,
                )
            )
            raise self._error

    def fail(self, error: grpc.RpcError) -> GatewayError:
        """The status is an error; gives the one to raise."""
        self.ended = True
        self._error = error_from_rpc(error, self._partial())
        return self._error

    def snapshot(self) -> Response:
        """The answer as far as it has come."""
        return Response(self._fold.answer(), self._request_id)

    def response(self) -> Response:
        """The whole answer, once the stream has ended.

        Raises:
            GatewayError: the one that ended the stream.
            ValueError: the caller closed it before its end.
        """
        if self._error is not None:
            raise self._error
        if not self._fold.finished:
            raise ValueError("the stream was closed before its end; `partial` has what came")
        return self.snapshot()

    def _partial(self) -> Response | None:
        return self.snapshot() if self._fold.started else None
