"""Every recording through the real HTTP client, cut and paced as networks do, in all dialects.

A replay server sends each recording in pieces at sampled places, with pauses or without, framed in
chunks or up to the close of the connection. What comes out must be what the decoder makes of the
same bytes at once; that this is what the vendor's SDK reads is the other contract tests' matter.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from llmgateway_server.domain.answer import Finish, Usage
from llmgateway_server.domain.coalesce import merge
from llmgateway_server.ports.provider import Provider
from llmgateway_server.providers import anthropic, gemini, openai_chat, openai_responses
from llmgateway_server.providers.dialect import Dialect, DialectPlugin
from support.recordings import Case, cuts_of, names, outcome_by, recordings
from support.replays import headers_of, provider_over, received
from support.upstream import Conn

URL = "https://recorded.example/v1"
# Larger recordings differ from smaller ones in their number of events only.
MOST_PIECES = 400


class Spoken(NamedTuple):
    """A dialect, and the groups of recordings that speak it."""

    plugin: DialectPlugin
    dialect: Dialect
    groups: tuple[str, ...]


SPOKEN = [
    Spoken(
        openai_chat.DIALECT,
        openai_chat.OpenAIChat("up", URL, openai_chat.OpenAIChatOptions()),
        ("openai", "compatible"),
    ),
    Spoken(
        openai_responses.DIALECT,
        openai_responses.OpenAIResponses("up", URL, openai_responses.OpenAIResponsesOptions()),
        ("openai_responses",),
    ),
    Spoken(
        anthropic.DIALECT,
        anthropic.Anthropic("up", URL, anthropic.AnthropicOptions()),
        ("anthropic",),
    ),
    Spoken(gemini.DIALECT, gemini.Gemini("up", URL, gemini.GeminiOptions()), ("gemini",)),
]
CASES = [(spoken, case) for spoken in SPOKEN for case in recordings(*spoken.groups).values()]
IDS = names(case for _, case in CASES)

Cutter = Callable[[Case], list[bytes]]


def in_even_pieces(case: Case) -> list[bytes]:
    size = max(61, len(case.body) // MOST_PIECES)
    return cuts_of(case.body, range(size, len(case.body), size))


def at_random(case: Case) -> list[bytes]:
    """Places that are the same in every run."""
    sample = random.Random(case.name)
    places = range(1, len(case.body))
    return cuts_of(case.body, sample.sample(places, min(len(places), 40)))


def within_events(case: Case) -> list[bytes]:
    """Cut one byte before, in and behind the line ends, where events begin and end."""
    ends = [at for at, byte in enumerate(case.body) if byte == ord("\n")]
    step = max(1, 3 * len(ends) // MOST_PIECES)
    near = {at + shift for at in ends[::step] for shift in (0, 1, 2)}
    return cuts_of(case.body, sorted(near & set(range(1, len(case.body)))))


@asynccontextmanager
async def provider_behind(
    spoken: Spoken, case: Case, cut: Cutter, pause: float, *, chunked: bool
) -> AsyncIterator[Provider]:
    async def replay(conn: Conn) -> None:
        await conn.head(case.meta["status"], headers_of(case), chunked=chunked)
        for piece in cut(case):
            await conn.chunk(piece)
            await asyncio.sleep(pause)
        await conn.end()

    async with provider_over(spoken.plugin, replay) as (provider, _):
        yield provider


@pytest.mark.parametrize(("spoken", "case"), CASES, ids=IDS)
@pytest.mark.parametrize(
    ("cut", "pause", "chunked"),
    [
        (in_even_pieces, 0.0, True),
        (at_random, 0.001, True),
        (at_random, 0.0, False),
        (within_events, 0.0, True),
    ],
    ids=["even", "random-slow", "random-to-the-close", "within-events"],
)
async def test_a_recording_is_the_same_however_it_arrives(
    spoken: Spoken, case: Case, cut: Cutter, pause: float, *, chunked: bool
) -> None:
    wanted = outcome_by(spoken.dialect, case)
    async with provider_behind(spoken, case, cut, pause, chunked=chunked) as provider:
        events, error, usage = await received(provider)
    assert merge(events) == wanted.events
    if wanted.failure is None:
        assert error is None
        assert usage == wanted.usage
    else:
        assert error is not None
        assert error.reason is wanted.failure.reason
        if case.is_stream:
            assert usage == wanted.usage


@pytest.mark.parametrize(
    ("spoken", "case"),
    [(spoken, case) for spoken, case in CASES if case.is_stream],
    ids=names(case for _, case in CASES if case.is_stream),
)
async def test_a_recording_that_breaks_off_is_never_a_short_success(
    spoken: Spoken, case: Case
) -> None:
    whole = outcome_by(spoken.dialect, case)
    sample = random.Random(case.name)
    for end in sorted(sample.sample(range(len(case.body)), 4)):
        shorter = case._replace(body=case.body[:end])
        wanted = outcome_by(spoken.dialect, shorter)
        async with provider_behind(spoken, shorter, in_even_pieces, 0.0, chunked=True) as provider:
            events, error, _ = await received(provider)
        assert merge(events) == wanted.events
        assert (error is None) is (wanted.failure is None)
        if error is None and whole.failure is None:
            # All that is missing is what follows the finish: usage, [DONE].
            assert isinstance(events[-1], Finish)
            assert [e for e in merge(events) if not isinstance(e, Usage)] == [
                e for e in whole.events if not isinstance(e, Usage)
            ]
