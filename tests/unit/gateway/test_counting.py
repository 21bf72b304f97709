"""The size of a request: the provider's count, or an estimate whatever fails."""

import asyncio

import pytest

from llmgateway_server.domain.catalog import RouteEntry, RouteTarget, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason, Violation
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.gateway.counting import Counting
from llmgateway_server.ports.tokens import TokenCount
from llmgateway_server.routing.routes import Resolution
from support.provider import ScriptedProvider
from support.virtual_time import run_virtual

ESTIMATE = TokenCount(42, is_estimated=True)
REQUEST = GenerationRequest("p/m", (Message(Role.USER, (TextPart("hi"),)),))


class Counter:
    """Says 42, after `takes` seconds, to who asks for the model `m` of `maker`."""

    def __init__(self, takes: float = 0.0) -> None:
        self._takes = takes

    async def count(self, request: GenerationRequest, vendor: str, model: str) -> TokenCount:
        assert (request, vendor, model) == (REQUEST, "maker", "m")
        await asyncio.sleep(self._takes)
        return ESTIMATE

    def estimate_text(self, byte_count: int, vendor: str) -> int:
        raise AssertionError("no text was to be estimated")


def count(
    provider: ScriptedProvider, *, deadline: float = 600.0, estimate_takes: float = 0.0
) -> tuple[TokenCount, Counting, float]:
    async def main() -> tuple[TokenCount, Counting, float]:
        resolution = Resolution(RouteEntry("p/m", (RouteTarget(Target("p", "m")),)), is_route=False)
        counter = Counter(estimate_takes)
        counting = Counting(
            REQUEST, resolution, provider, deadline, counter=counter, vendor="maker"
        )
        counted = await counting.count()
        return counted, counting, asyncio.get_running_loop().time()

    return run_virtual(main())


def test_a_provider_that_counts_is_believed() -> None:
    provider = ScriptedProvider(tokens=7)
    counted, counting, _ = count(provider)
    assert counted == TokenCount(7, is_estimated=False)
    assert (counting.model, counting.route.provider) == ("p/m", "p")
    assert counting.route.attempt_count == 1
    assert provider.counted == [(REQUEST, "m")]


def test_nothing_is_a_count_too() -> None:
    assert count(ScriptedProvider(tokens=0))[0] == TokenCount(0, is_estimated=False)


def test_a_provider_that_does_not_count_leaves_it_to_the_counter() -> None:
    counted, counting, _ = count(ScriptedProvider())
    assert counted == ESTIMATE
    assert counting.route.attempt_count == 0


@pytest.mark.parametrize(
    "reason",
    [
        Reason.CONTEXT_LENGTH_EXCEEDED,
        Reason.MODEL_NOT_FOUND,
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        Reason.PROVIDER_ERROR,
        Reason.PROVIDER_PROTOCOL_ERROR,
        Reason.PROVIDER_RATE_LIMITED,
        Reason.PROVIDER_REJECTED_REQUEST,
        Reason.PROVIDER_TIMEOUT,
    ],
)
def test_a_provider_that_fails_costs_the_exactness_only(reason: Reason) -> None:
    refusal = GatewayError(reason, "no", attempt=AttemptFailure("p", "m", 500))
    counted, counting, _ = count(ScriptedProvider(refusal=refusal))
    assert counted == ESTIMATE
    assert counting.route.attempt_count == 1


def test_a_provider_that_hangs_is_not_waited_for_long() -> None:
    counted, _, ended_at = count(ScriptedProvider(tokens=7, opening=3600.0))
    assert (counted, ended_at) == (ESTIMATE, 5.0)


def test_the_estimate_comes_before_a_short_deadline() -> None:
    counted, _, ended_at = count(ScriptedProvider(tokens=7, opening=3600.0), deadline=2.0)
    assert (counted, ended_at) == (ESTIMATE, 1.5)


def test_an_estimate_that_takes_its_time_is_given_it() -> None:
    provider = ScriptedProvider(tokens=7, opening=3600.0)
    counted, _, ended_at = count(provider, estimate_takes=20.0)
    assert (counted, ended_at) == (ESTIMATE, 25.0)


def test_the_deadline_ends_an_estimate_too() -> None:
    with pytest.raises(GatewayError) as caught:
        count(ScriptedProvider(), deadline=7.0, estimate_takes=3600.0)
    assert caught.value.reason is Reason.DEADLINE_EXCEEDED


@pytest.mark.parametrize("reason", [Reason.REQUEST_INVALID, Reason.CAPABILITY_UNSUPPORTED])
def test_a_request_that_no_provider_was_asked_for_is_the_callers_to_mend(reason: Reason) -> None:
    violation = Violation("input.tools[0].name", "is no name")
    refusal = GatewayError(reason, "no", violations=(violation,))
    with pytest.raises(GatewayError) as caught:
        count(ScriptedProvider(refusal=refusal))
    assert caught.value is refusal
