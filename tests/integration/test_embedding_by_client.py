"""The client's embeddings and token counts against the real gateway, over a scripted provider."""

import asyncio
import struct

import pytest

from llmgateway import (
    AsyncClient,
    Client,
    CountTokensResponse,
    EmbedRequest,
    InvalidRequestError,
    ModelNotFoundError,
    RateLimitError,
)
from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.embedding import EmbeddingAnswer
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from support.gateway import serving
from support.provider import ScriptedProvider, gateway_over

ANSWER = EmbeddingAnswer(
    (struct.pack("<2f", 1.0, -2.5), struct.pack("<2f", 0.25, 0.0)), Usage(input_token_count=4)
)
TEXTS = ["one", "two"]


async def test_both_clients_give_the_vectors_of_the_provider() -> None:
    provider = ScriptedProvider(embedding=ANSWER)
    async with serving(gateway_over(provider)) as running:
        async with AsyncClient(running.address) as client:
            answer = await client.embed(TEXTS, model="words", metadata={"x-request-id": "mine"})
        with Client(running.address) as blocking:
            same = await asyncio.to_thread(blocking.embed, TEXTS, model="words", dimensions=2)
    assert [list(vector) for vector in answer.vectors] == [[1.0, -2.5], [0.25, 0.0]]
    assert same.vectors == answer.vectors
    assert (answer.model, answer.route.provider, answer.request_id) == ("up/tiny", "up", "mine")
    assert answer.usage.input_token_count == 4
    assert len(answer.response_id) == 26
    assert [asked.dimensions for asked, _ in provider.embedded] == [None, 2]


async def test_a_whole_request_says_what_no_option_does() -> None:
    provider = ScriptedProvider(embedding=ANSWER)
    async with (
        serving(gateway_over(provider)) as running,
        AsyncClient(running.address) as client,
    ):
        await client.embed(EmbedRequest(model="words", inputs=TEXTS, end_user_id="u"))
    assert provider.embedded[0][0].end_user_id == "u"


async def test_both_clients_count_tokens() -> None:
    async with serving(gateway_over(ScriptedProvider(tokens=11))) as running:
        async with AsyncClient(running.address) as client:
            count = await client.count_tokens("Hello", model="words", system="Be brief.")
        with Client(running.address) as blocking:
            same = await asyncio.to_thread(blocking.count_tokens, "Hello", model="words")
    assert count == same == CountTokensResponse(input_token_count=11, model="up/tiny")


async def test_failures_are_those_of_the_one_tree() -> None:
    attempt = AttemptFailure("up", "tiny", 429)
    refusal = GatewayError(Reason.PROVIDER_RATE_LIMITED, "no", retry_after=300.0, attempt=attempt)
    async with (
        serving(gateway_over(ScriptedProvider(refusal=refusal))) as running,
        AsyncClient(running.address) as client,
    ):
        with pytest.raises(RateLimitError) as limited:
            await client.embed("one", model="words")
        with pytest.raises(InvalidRequestError) as invalid:
            await client.embed([], model="words")
        with pytest.raises(ModelNotFoundError):
            await client.count_tokens("Hello", model="nobody/x")
    assert limited.value.retry_after == 300.0
    assert [each.http_status for each in limited.value.attempts] == [429]
    assert [violation.field for violation in invalid.value.violations] == ["inputs"]
