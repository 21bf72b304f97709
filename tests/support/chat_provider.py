"""The openai_chat provider over a transport that a test scripts, without a socket."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self

import httpx

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.http_provider import HttpProvider
from llmgateway_server.providers.openai_chat import OpenAIChat, OpenAIChatOptions

KEY = "sk-canary-4f0c2b9d7e"
NOW = 1_800_000_000.0


class ScriptedBody(httpx.AsyncByteStream):
    """Gives its steps one by one: bytes, or an error to raise; `stalls` waits for ever at its end.

    What HttpTransport's streams do besides is counted.
    """

    def __init__(self, steps: Sequence[bytes | Exception], *, stalls: bool = False) -> None:
        self._steps = list(steps)
        self._stalls = stalls
        self.stalling = asyncio.Event()
        self.reads = 0
        self.closed = 0
        self.finished = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        self.reads += 1
        if not self._steps:
            if self._stalls:
                self.stalling.set()
                await asyncio.Event().wait()
            raise StopAsyncIteration
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1

    def finish(self) -> None:
        self.finished += 1

    async def aclose(self) -> None:
        self.close()


class ScriptedTransport(httpx.AsyncBaseTransport):
    """Answers every request with the same response, or fails or stalls instead."""

    def __init__(self, response: httpx.Response | Exception | None) -> None:
        self._response = response
        self.requests: list[httpx.Request] = []
        self.asked = asyncio.Event()
        self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        self.asked.set()
        if self._response is None:
            await asyncio.Event().wait()
        if isinstance(self._response, Exception):
            raise self._response
        assert self._response is not None
        return self._response

    async def aclose(self) -> None:
        self.closed = True


def response(
    body: ScriptedBody, status: int = 200, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """A response; a stream of events unless the headers say otherwise."""
    return httpx.Response(
        status, headers={"content-type": "text/event-stream", **(headers or {})}, stream=body
    )


def provider_over(
    transport: ScriptedTransport,
    *,
    key: str = KEY,
    models_without_streaming: frozenset[str] = frozenset(),
) -> HttpProvider:
    """A provider called `up`."""
    options = OpenAIChatOptions()
    base_url = "https://up.example/v1/"
    settings = ProviderSettings(
        "up",
        base_url,
        (lambda: key) if key else None,
        options,
        capabilities=lambda model: Capabilities(streaming=model not in models_without_streaming),
    )
    dialect = OpenAIChat("up", base_url, options)
    return HttpProvider(settings, lambda _: dialect, transport=transport, now=lambda: NOW)
