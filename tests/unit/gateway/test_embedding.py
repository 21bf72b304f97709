"""One call's vectors: timers, what an answer must be, and how failures are told."""

import asyncio

import pytest

from llmgateway_server.domain.answer import Route, Usage
from llmgateway_server.domain.catalog import ProviderEntry, RouteEntry, RouteTarget, Target
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest, Embeddings
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.request import CallOptions
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.embedding import Embedding
from llmgateway_server.routing.routes import RouteTable
from support.provider import ScriptedProvider, gateway_of
from support.virtual_time import run_virtual

USAGE = Usage(input_token_count=7)
TWO = EmbeddingAnswer((b"\0" * 12, b"\1" * 12), USAGE, "req-1")


def ask(
    provider: ScriptedProvider,
    *,
    dimensions: int | None = None,
    route: str = "",
    deadline: float = 600.0,
) -> tuple[Embeddings | GatewayError, Route, float]:
    """How a call for two inputs ended, the route that it then had, and when."""

    async def main() -> tuple[Embeddings | GatewayError, Route, float]:
        embedding = called(provider, dimensions=dimensions, route=route, deadline=deadline)
        outcome: Embeddings | GatewayError
        try:
            outcome = await embedding.answer()
        except GatewayError as error:
            outcome = error
        return outcome, embedding.route, asyncio.get_running_loop().time()

    return run_virtual(main())


def called(
    provider: ScriptedProvider,
    *,
    dimensions: int | None = None,
    route: str = "",
    deadline: float = 600.0,
) -> Embedding:
    table = RouteTable(
        [RouteEntry(route, (RouteTarget(Target("p", "m")),))] if route else [],
        [ProviderEntry("p", "scripted", passes_any_model=True, timers=Timers())],
        [],
    )
    request = EmbeddingRequest(route or "p/m", ("one", "two"), dimensions)
    return gateway_of(table, {"p": provider}).embed(request, CallOptions(deadline))


def failed(provider: ScriptedProvider, **options: object) -> GatewayError:
    outcome, _, _ = ask(provider, **options)  # type: ignore[arg-type]
    assert isinstance(outcome, GatewayError)
    return outcome


def test_an_answer_says_what_came_from_whom_and_how_fast() -> None:
    provider = ScriptedProvider(embedding=TWO, opening=2.0)
    answer, route, _ = ask(provider)
    assert isinstance(answer, Embeddings)
    assert (answer.vectors, answer.usage, answer.model) == (TWO.vectors, USAGE, "p/m")
    assert len(answer.response_id) == 26
    expected = Route("p", "m", 1, provider_request_id="req-1", time_to_first_token=2.0)
    assert answer.route == route == expected
    assert [model for _, model in provider.embedded] == ["m"]


def test_a_provider_that_hangs_ends_by_the_first_content_timer() -> None:
    outcome, route, ended_at = ask(ScriptedProvider(embedding=TWO, opening=3600.0))
    assert isinstance(outcome, GatewayError)
    assert (outcome.reason, ended_at) == (Reason.PROVIDER_TIMEOUT, 60.0)
    assert outcome.attempts == (AttemptFailure("p", "m"),)
    assert route.attempt_count == 1


def test_the_deadline_comes_before_the_timer() -> None:
    outcome, _, ended_at = ask(ScriptedProvider(embedding=TWO, opening=3600.0), deadline=7.0)
    assert isinstance(outcome, GatewayError)
    assert (outcome.reason, ended_at) == (Reason.DEADLINE_EXCEEDED, 7.0)
    assert outcome.response_id


def test_a_providers_failure_keeps_its_name_and_its_attempt() -> None:
    attempt = AttemptFailure("p", "m", 429, "slow down")
    refusal = GatewayError(Reason.PROVIDER_RATE_LIMITED, "no", retry_after=300.0, attempt=attempt)
    error = failed(ScriptedProvider(refusal=refusal))
    assert error.reason is Reason.PROVIDER_RATE_LIMITED
    assert (error.attempts, error.retry_after) == ((attempt,), 300.0)
    assert len(error.response_id) == 26
    assert not error.partial_output_sent


@pytest.mark.parametrize(
    ("route", "reason"),
    [("words", Reason.ROUTE_MISCONFIGURED), ("", Reason.MODEL_NOT_FOUND)],
)
def test_a_missing_model_is_to_be_mended_by_whoever_named_it(route: str, reason: Reason) -> None:
    attempt = AttemptFailure("p", "m", 404)
    refusal = GatewayError(Reason.MODEL_NOT_FOUND, "no", attempt=attempt)
    error = failed(ScriptedProvider(refusal=refusal), route=route)
    assert (error.reason, error.attempts) == (reason, (attempt,))


def test_a_vector_too_few_is_no_answer_and_asked_for_once_more() -> None:
    answer = EmbeddingAnswer(TWO.vectors[:1], USAGE, "req-1")
    error = failed(ScriptedProvider(embedding=answer))
    assert error.reason is Reason.PROVIDER_PROTOCOL_ERROR
    assert error.attempts == (AttemptFailure("p", "m", provider_request_id="req-1"),) * 2
    assert error.usage == USAGE.plus(USAGE)


def test_vectors_that_were_not_shortened_as_asked_are_refused() -> None:
    error = failed(ScriptedProvider(embedding=TWO), dimensions=2)
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert "3 dimensions instead of 2" in error.message
    assert error.usage == USAGE


def test_vectors_of_the_length_that_was_asked_pass() -> None:
    answer, _, _ = ask(ScriptedProvider(embedding=TWO), dimensions=3)
    assert isinstance(answer, Embeddings)


def test_a_caller_that_goes_away_cancels_the_provider() -> None:
    class Witness(ScriptedProvider):
        cancelled = False

        async def embed(self, *arguments: object) -> EmbeddingAnswer:
            try:
                return await super().embed(*arguments)  # type: ignore[arg-type]
            except asyncio.CancelledError:
                self.cancelled = True
                raise

    provider = Witness(embedding=TWO, opening=3600.0)

    async def main() -> None:
        async def call() -> None:
            await called(provider).answer()

        task = asyncio.ensure_future(call())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert provider.cancelled
