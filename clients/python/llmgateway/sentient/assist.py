"""`POST /assist`: the framework's request in, its events out."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from llmgateway._aio import AsyncClient
from llmgateway._errors import Failure, UnavailableError
from llmgateway.sentient.answer import Answer
from llmgateway.sentient.conversation import conversation_input
from llmgateway.sentient.events import EventStream
from llmgateway.sentient.request import AssistRequest, InvalidBodyError, read_request
from llmgateway.sentient.settings import BridgeOptions
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_MODE_RESTART,
    GenerateStreamRequest,
    GenerateStreamResponse,
    StreamOptions,
)


class Assist:
    """The ASGI endpoint, and the answers that are under way.

    Once a request is understood its status is 200, and a failure is an event: the framework's
    clients never look at the status.
    """

    def __init__(self, client: AsyncClient, options: BridgeOptions) -> None:
        self._client = client
        self._options = options
        self._answers: set[Answer] = set()
        heartbeat = Duration()
        heartbeat.FromMilliseconds(round(options.heartbeat * 1000))
        delay = Duration()
        delay.FromMilliseconds(round(options.coalesce * 1000))
        # RESTART, because these events say what a restart made void.
        self._stream_options = StreamOptions(
            max_coalesce_delay=delay,
            heartbeat_interval=heartbeat,
            recovery=RECOVERY_MODE_RESTART,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        headers = Headers(scope=scope)
        self._check_site(headers)
        body = await _read_body(headers, receive, self._options.max_body)
        if body is None:
            return
        try:
            request = read_request(body, headers.get("content-type", ""))
        except InvalidBodyError as error:
            refusal = Response(error.body, status_code=422, media_type="application/json")
            await refusal(scope, receive, send)
            return
        answer = Answer(
            self._call(request, _model(scope) or self._options.model),
            EventStream(
                source=self._options.source or request.source, options=self._options.events
            ),
        )
        self._answers.add(answer)
        try:
            await answer.run(receive, send)
        finally:
            self._answers.discard(answer)

    def end_answers(self) -> None:
        """Ends all answers that are under way, each with an error and `done`: the server stops."""
        failure = Failure(
            code=grpc.StatusCode.UNAVAILABLE,
            reason="GATEWAY_DRAINING",
            message="the bridge is shutting down: ask again",
        )
        for answer in list(self._answers):
            answer.end(UnavailableError(failure))

    def _check_site(self, headers: Headers) -> None:
        # CORS keeps other sites' pages from reading an answer, but not from asking for a paid one:
        # a script may post a body of no type. Browsers say where a request comes from.
        site = headers.get("sec-fetch-site", "none")
        if site not in {"none", "same-origin"} and not self._options.allows_origin(
            headers.get("origin")
        ):
            raise HTTPException(403, "Pages of this origin may not ask")

    def _call(
        self, request: AssistRequest, model: str
    ) -> grpc.aio.UnaryStreamCall[Any, GenerateStreamResponse]:
        given = conversation_input(request, model=model, options=self._options.events)
        given.output.include_reasoning = self._options.include_reasoning
        wanted = GenerateStreamRequest(input=given, stream_options=self._stream_options)
        return self._client.stub.GenerateStream(wanted, **self._client._arguments({}))


def _model(scope: Scope) -> str:
    """What `?model=` names; empty if it is not there."""
    query = scope["query_string"]
    return parse_qs(query.decode("latin-1")).get("model", [""])[0] if query else ""


async def _read_body(headers: Headers, receive: Receive, most: int) -> bytes | None:
    """The whole body; None if the client went away.

    Raises:
        HTTPException: 413, it is larger than `most` bytes.
    """
    announced = headers.get("content-length", "")
    left = -1 if announced.isdecimal() and int(announced) > most else most
    pieces: list[bytes] = []
    while left >= 0:
        message = await receive()
        if message["type"] != "http.request":
            return None
        pieces.append(message.get("body", b""))
        left -= len(pieces[-1])
        if left >= 0 and not message.get("more_body", False):
            return b"".join(pieces)
    raise HTTPException(413, f"The body is larger than {most} bytes")
