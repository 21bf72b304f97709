"""The outbound HTTP client under test: its requests, and what it may leave behind (nothing)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from llmgateway_server.providers.http import HttpTransport, ResponseBody
from support.upstream import Upstream

SECRET = "sk-secret"

# The upstream's, and those of asyncio's listener, live in the same loop.
SERVERS_TASKS = ("Upstream._serve", "_accept_connection")


def request_to(
    upstream: Upstream,
    *,
    content: bytes = b"{}",
    timeout: dict[str, float] | None = None,
    method: str = "POST",
) -> httpx.Request:
    """A request as a dialect builds it, with the secret in header and query."""
    return httpx.Request(
        method,
        f"{upstream.base_url}/chat?key={SECRET}",
        headers={"authorization": f"Bearer {SECRET}"},
        content=content,
        extensions={"timeout": timeout or {"connect": 5.0, "pool": 5.0}},
    )


async def opened(transport: HttpTransport, request: httpx.Request) -> ResponseBody:
    """The body of the response to `request`, to be closed."""
    response = await transport.handle_async_request(request)
    assert isinstance(response.stream, ResponseBody)
    return response.stream


async def answered(transport: HttpTransport, request: httpx.Request) -> bytes:
    """The whole body of the response to `request`."""
    response = await transport.handle_async_request(request)
    return await response.aread()


@asynccontextmanager
async def outbound(
    connections: int = 200, ssl_context: ssl.SSLContext | None = None, idle: float = 60.0
) -> AsyncIterator[HttpTransport]:
    """A transport that, once closed, must have left no task running."""
    before = asyncio.all_tasks()
    transport = HttpTransport(connections=connections, ssl_context=ssl_context, idle=idle)
    try:
        yield transport
    finally:
        await transport.aclose()
        # What was cancelled a moment ago needs a turn of the loop to end.
        await asyncio.sleep(0)
    left = [repr(task) for task in asyncio.all_tasks() - before]
    assert [task for task in left if not any(name in task for name in SERVERS_TASKS)] == []
