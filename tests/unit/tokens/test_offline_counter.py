"""Counts and estimates against what vendors reported for recorded requests.

`recorded_prompts.json` holds the requests of recordings in `tests/contract/recorded/README.md`,
cut down to what counts, with the input tokens that the vendor reported. Left out: cached content
and documents, whose text is not in the request, and images, whose price is not their size.
"""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.ports.tokens import TokenCounter
from llmgateway_server.tokens import OfflineCounter
from llmgateway_server.tokens.vocabulary import encoding
from support.recorded_requests import read_request

PROMPTS: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("recorded_prompts.json").read_text()
)
COUNTER: TokenCounter = OfflineCounter()


def names(prompts: list[dict[str, Any]]) -> list[str]:
    return [prompt["case"] for prompt in prompts]


EXACT = [
    prompt
    for prompt in PROMPTS
    if prompt["vendor"] == "openai"
    and not {"tools", "response_format"} & prompt["body"].keys()
    and "tool" not in prompt["case"]
    and "image" not in prompt["case"]
]


async def counted(prompt: dict[str, Any]) -> tuple[int, bool]:
    request = read_request(prompt["wire"], prompt["body"])
    count = await COUNTER.count(request, prompt["vendor"], prompt["model"])
    return count.tokens, count.is_estimated


@pytest.mark.parametrize("prompt", EXACT, ids=names(EXACT))
async def test_plain_text_to_openai_is_counted_exactly(prompt: dict[str, Any]) -> None:
    assert await counted(prompt) == (prompt["tokens"], False)


@pytest.mark.parametrize("prompt", PROMPTS, ids=names(PROMPTS))
async def test_estimates_are_within_a_fifth(prompt: dict[str, Any]) -> None:
    tokens, _ = await counted(prompt)
    # A prompt of ten tokens may be off by one or two.
    assert abs(tokens - prompt["tokens"]) <= max(prompt["tokens"] * 0.2, 2)


async def test_an_estimate_says_that_it_is_one() -> None:
    text = GenerationRequest("", (Message(Role.USER, (TextPart("Hello there"),)),))
    assert (await COUNTER.count(text, "anthropic", "claude-sonnet-4-5")).is_estimated
    assert (await COUNTER.count(text, "openai", "some-finetune")).is_estimated
    assert (await COUNTER.count(text, "", "llama3")).is_estimated
    assert not (await COUNTER.count(text, "openai", "gpt-4o-2024-08-06")).is_estimated


@pytest.mark.parametrize("prompt", EXACT, ids=names(EXACT))
async def test_at_azure_the_same_is_an_estimate(prompt: dict[str, Any]) -> None:
    request = read_request(prompt["wire"], prompt["body"])
    count = await COUNTER.count(request, "azure", prompt["model"])
    assert (count.tokens, count.is_estimated) == (prompt["tokens"], True)


async def test_a_long_text_does_not_hold_up_the_event_loop() -> None:
    long = GenerationRequest("", (Message(Role.USER, (TextPart("word " * 200_000),)),))
    loop = asyncio.get_running_loop()
    counting = asyncio.create_task(COUNTER.count(long, "openai", "gpt-4o"))
    longest, last = 0.0, loop.time()
    while not counting.done():
        await asyncio.sleep(0)
        longest, last = max(longest, loop.time() - last), loop.time()
    assert (await counting).tokens > 200_000
    assert longest < 1.0


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("a vocabulary was fetched")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    encoding.cache_clear()
    assert encoding("cl100k_base").encode_ordinary("tiktoken is great!") == [
        *(83, 1609, 5963, 374, 2294, 0)
    ]


def test_a_text_without_a_tokenizer_has_four_bytes_a_token() -> None:
    assert [COUNTER.estimate_text(size, "openai") for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
