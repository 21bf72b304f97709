"""Faults of a provider as the caller of one answer sees them, with nobody else to ask.

How they end for streams and for calls that have somebody else to go to is in tests/faults.
"""

import grpc
import pytest
from google.rpc import error_details_pb2

from support.fault_table.calling import streamed, whole
from support.fault_table.catalogued import FATES, NO_TIME_TO_WAIT, SILENCE, SILENT, timeout_for
from support.gateway import KEY, MODEL, ask, failure_of, gateway_to
from support.openai import FAULTS
from support.upstream import Upstream

# Oddities that are no faults: the answer is whole.
SURVIVED = {"bad_content_type_json_for_stream", "truncated_tool_json", "negative_usage"}


def test_the_table_has_every_fault() -> None:
    assert set(FATES) | SURVIVED == set(FAULTS)


@pytest.mark.parametrize("name", FATES)
async def test_a_fault_of_a_unary_call_sends_nothing_but_its_status(name: str) -> None:
    fate = FATES[name]
    timeouts = SILENCE if fate.id in SILENT else {}
    async with (
        Upstream(FAULTS[name]) as upstream,
        gateway_to(upstream.base_url, provider={"timeouts": timeouts}) as running,
    ):
        ending = await whole(running, MODEL, timeout_for(fate.course))
    failure = ending.failure
    assert failure is not None
    assert (failure.code, failure.reason) == (fate.status.code, fate.status.reason)
    assert failure.failure is not None
    assert not failure.failure.partial_output_sent
    # Nothing of a whole answer is delivered before its end, so this one starts again.
    expected = 2 if name == "endless_stream" else fate.course.alone
    assert len(upstream.requests) == len(failure.failure.attempts) == ending.attempts == expected
    assert KEY not in ending.everything


@pytest.mark.parametrize("name", sorted(SURVIVED))
async def test_an_oddity_is_no_fault(name: str) -> None:
    async with Upstream(FAULTS[name]) as upstream, gateway_to(upstream.base_url) as running:
        messages = await running.stream()
    assert messages[-1].HasField("finish")
    assert messages[-1].usage.output_token_count >= 0
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("http_429_retry_after_seconds", True),
        ("http_429_retry_after_ms", True),
        ("http_429_retry_after_negative", False),
        ("http_429_retry_after_junk", False),
        ("http_429_insufficient_quota", False),
    ],
)
async def test_a_delay_that_the_provider_asks_for_reaches_the_caller(
    name: str, *, seconds: bool
) -> None:
    async with Upstream(FAULTS[name]) as upstream, gateway_to(upstream.base_url) as running:
        ending = await streamed(running, MODEL, NO_TIME_TO_WAIT)
    assert ending.failure is not None
    retry = ending.failure.detail(error_details_pb2.RetryInfo)
    assert (retry is not None and retry.retry_delay.ToMilliseconds() > 0) is seconds


async def test_a_model_that_a_route_names_in_vain_is_not_the_callers_fault() -> None:
    async with (
        Upstream(FAULTS["http_404_model_not_found"]) as upstream,
        gateway_to(upstream.base_url, routes={"chat": {"targets": [MODEL]}}) as running,
    ):
        call = running.generation.GenerateStream(ask(model="chat"))
        failure = await failure_of(call.read())
    assert (failure.code, failure.reason) == (grpc.StatusCode.INTERNAL, "ROUTE_MISCONFIGURED")
    assert len(upstream.requests) == 1
