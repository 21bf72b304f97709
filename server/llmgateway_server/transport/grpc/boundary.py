"""The boundary that every RPC passes: bytes in, a status of our own out.

Handlers take raw bytes and write raw bytes, so that parsing, serialising and every failure happen
inside this boundary and not in grpc, whose answer to an exception is its text.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from llmgateway_server.domain.errors import GatewayError, Reason, Violation
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.transport.grpc.call import Call, Context, LiveCalls, MethodBudget
from llmgateway_server.transport.grpc.status import internal_error, status_of

logger = logging.getLogger(__name__)

# grpc itself accepts a little more (server.py), so that a caller who sends too much learns why.
MAX_REQUEST_BYTES = 20 * 1024 * 1024

# What a caller can do nothing about, and nobody else would notice. Not what hits every call at
# once, shed calls and open breakers: a line for each would be an outage of its own.
_FOR_THE_OPERATOR = frozenset(
    {
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        Reason.PROVIDER_PROTOCOL_ERROR,
        Reason.PROVIDER_QUOTA_EXHAUSTED,
        Reason.ROUTE_MISCONFIGURED,
    }
)
# Seconds until a status that no caller takes is left to grpc alone.
_STATUS_DUE = 10.0

Request = TypeVar("Request", bound=Message)
Result = TypeVar("Result")
Write = Callable[[bytes], Awaitable[None]]
# A string, since the class is generic in its stubs only.
Method: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class Boundary:
    """Makes grpc handlers of engine-neutral functions."""

    def __init__(self, calls: LiveCalls) -> None:
        self._calls = calls

    def unary(
        self,
        request_type: type[Request],
        budget: MethodBudget,
        handle: Callable[[Request, Call], Awaitable[Message]],
    ) -> Method:
        """A unary method: `handle` returns the response."""

        async def serve(raw: bytes, context: Context) -> bytes:
            async def work(call: Call) -> bytes:
                response = await handle(_parsed(request_type, raw), call)
                return response.SerializeToString()

            return await self._serve(context, budget, work)

        return grpc.unary_unary_rpc_method_handler(serve)

    def server_stream(
        self,
        request_type: type[Request],
        budget: MethodBudget,
        handle: Callable[[Request, Call, Write], Awaitable[None]],
    ) -> Method:
        """A streaming method: `handle` writes serialised messages and returns at the end."""

        # Not an async generator: grpc would close one in a foreign task when the caller cancels.
        async def serve(raw: bytes, context: Context) -> None:
            opened = False

            async def open_and_write(message: bytes) -> None:
                # grpc would put the headers into one batch with the first message, and while
                # a slow reader holds that up, no status could be sent any more.
                await context.send_initial_metadata(())
                await context.write(message)

            # No coroutine of its own: it is one more frame to resume for every message.
            def write(message: bytes) -> Awaitable[None]:
                nonlocal opened
                if opened:
                    return context.write(message)
                opened = True
                return open_and_write(message)

            def work(call: Call) -> Awaitable[None]:
                return handle(_parsed(request_type, raw), call, write)

            await self._serve(context, budget, work)

        return grpc.unary_stream_rpc_method_handler(serve)

    async def _serve(
        self, context: Context, budget: MethodBudget, work: Callable[[Call], Awaitable[Result]]
    ) -> Result:
        call = Call(context, budget)
        try:
            with self._calls.track(call):
                result = await work(call)
                context.set_trailing_metadata(call.trailers())
                return result
        except asyncio.CancelledError:
            interruption = call.interruption()
            if interruption is None:
                raise
            error = interruption
        except GatewayError as failure:
            error = failure
        except grpc.aio.InternalError:
            # What a write says when the caller has gone and the cancel is still on its way.
            raise asyncio.CancelledError from None
        except Exception as bug:
            error = _logged(bug)
        if error.reason in _FOR_THE_OPERATOR:
            _warn(error, call)
        code, message, trailers = status_of(error)
        try:
            async with asyncio.timeout(_STATUS_DUE):
                # Always raises; what was set as trailers before is replaced.
                return await context.abort(code, message, (*call.trailers(), *trailers))
        except (TimeoutError, grpc.aio.InternalError):
            # The caller has gone, or the status waits in grpc behind a message that is not read.
            # It is delivered if that ever is; the call's task need not wait for it.
            raise asyncio.CancelledError from None


def _parsed(request_type: type[Request], raw: bytes) -> Request:
    if len(raw) > MAX_REQUEST_BYTES:
        raise GatewayError(
            Reason.REQUEST_TOO_LARGE, f"the request has more than {MAX_REQUEST_BYTES} bytes"
        )
    try:
        return request_type.FromString(raw)
    except DecodeError:
        name = request_type.DESCRIPTOR.full_name
        raise GatewayError(
            Reason.REQUEST_INVALID,
            f"the request is no {name}",
            violations=(Violation("", f"must be the bytes of a {name}"),),
        ) from None


def _logged(bug: Exception) -> GatewayError:
    """Logs where it happened; not what the exception says, which may quote keys or prompts."""
    response_id = new_ulid()
    frames = "".join(traceback.format_tb(bug.__traceback__))
    logger.error("bug %s: %s at\n%s", response_id, type(bug).__name__, frames)
    return internal_error(response_id)


def _warn(error: GatewayError, call: Call) -> None:
    """Logs the names of it; the words may be the provider's, about a caller's content."""
    attempt = error.attempts[-1] if error.attempts else None
    logger.warning(
        "%s: target %s, HTTP status %s, request %s",
        error.reason.value,
        f"{attempt.provider}/{attempt.model}" if attempt else "none",
        attempt.http_status if attempt else 0,
        call.request_id,
    )
