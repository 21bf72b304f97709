"""Recordings through the real HTTP client, and what comes out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import Provider, ProviderSettings
from llmgateway_server.providers.dialect import DialectPlugin
from support.recordings import PROVIDER, Case, Outcome
from support.upstream import Conn, Script, Upstream

QUESTION = GenerationRequest("", (Message(Role.USER, (TextPart("Hello"),)),))
KEY = "test-key"
# Those of a recording's framing and encoding no longer fit.
KEPT = (
    *("content-type", "retry-after", "retry-after-ms", "x-should-retry"),
    *("request-id", "x-request-id", "apim-request-id"),
)


class Received(NamedTuple):
    """All that a provider gave for one question."""

    events: list[ProviderEvent]
    error: GatewayError | None
    usage: Usage | None


class Survived(NamedTuple):
    """An upstream that has replayed all cases, and what was received of each."""

    upstream: Upstream
    received: Mapping[str, Received]


def headers_of(case: Case) -> dict[str, str]:
    """The recorded headers that a replay has too."""
    return {k: v for k, v in case.meta["response_headers"].items() if k in KEPT}


async def respond(conn: Conn, case: Case) -> None:
    """Replays a case as a whole."""
    await conn.respond(case.meta["status"], case.body, headers_of(case))


@asynccontextmanager
async def provider_over(
    plugin: DialectPlugin, script: Script
) -> AsyncIterator[tuple[Provider, Upstream]]:
    """A provider of this dialect, and the upstream that it asks."""
    async with Upstream(script) as upstream:
        settings = ProviderSettings(PROVIDER, upstream.base_url, lambda: KEY, plugin.options())
        provider = plugin.create(settings)
        try:
            yield provider, upstream
        finally:
            await provider.shutdown()


async def received(provider: Provider, model: str = "m") -> Received:
    """Everything to the end of one answer."""
    events: list[ProviderEvent] = []
    try:
        stream = await provider.open(QUESTION, model, Timers())
    except GatewayError as error:
        return Received(events, error, None)
    try:
        while not events or not isinstance(events[-1], Finish):
            events += await stream.read()
    except GatewayError as error:
        return Received(events, error, stream.usage)
    finally:
        stream.close()
    return Received(events, None, stream.usage)


async def survived(
    plugin: DialectPlugin, cases: Iterable[Case], outcome: Callable[[Case], Outcome], model: str
) -> Survived:
    """Asks for all cases in turn; each must come to what the decoder alone makes of it."""

    async def replay(conn: Conn) -> None:
        await respond(conn, case)

    answers: dict[str, Received] = {}
    async with provider_over(plugin, replay) as (provider, upstream):
        for case in cases:
            answers[case.name] = await received(provider, model)
            events, error, usage = answers[case.name]
            expected = outcome(case)
            assert merge(events) == merge(expected.events), case.name
            if case.is_stream:
                assert usage == expected.usage, case.name
            if expected.failure is None:
                assert error is None, case.name
            else:
                assert error is not None, case.name
                assert error.reason is expected.failure.reason, case.name
    return Survived(upstream, answers)
