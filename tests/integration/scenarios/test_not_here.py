"""Requests that one target refuses and another may take: long prompts, blocked content."""

import grpc
import pytest

from support.openai import FAULTS, stream_text
from support.two_targets import model, two_targets

HELLO = stream_text(["hel", "lo"])
TOO_LONG = FAULTS["http_400_context_length_exceeded"]
POLICIES = ["http_400_content_policy", "http_400_content_filter"]


@pytest.mark.parametrize(
    "fault", ["http_400_context_length_exceeded", "http_400_exceed_context_size"]
)
@pytest.mark.parametrize("streams", [True, False])
async def test_what_is_too_long_here_is_answered_by_the_larger(fault: str, streams: bool) -> None:
    async with two_targets(
        FAULTS[fault],
        HELLO,
        provider_a=model("one", context_window=8192),
        provider_b=model("two", context_window=32768),
    ) as pair:
        answered = await pair.ask(streams=streams)
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        assert (pair.a.count, pair.b.count) == (1, 1)
        # It says nothing against the target.
        pair.up_a.script = HELLO
        assert (await pair.ask()).provider == "a"


async def test_an_unknown_window_may_be_larger() -> None:
    async with two_targets(TOO_LONG, HELLO, provider_a=model("one", context_window=8192)) as pair:
        assert (await pair.ask()).provider == "b"


async def test_what_is_too_long_here_is_not_sent_to_who_has_less_room() -> None:
    async with two_targets(
        TOO_LONG,
        HELLO,
        provider_a=model("one", context_window=8192),
        provider_b=model("two", context_window=4096),
    ) as pair:
        failed = await pair.fail()
        assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
        assert failed.reason == "CONTEXT_LENGTH_EXCEEDED"
        assert (pair.a.count, pair.b.count) == (1, 0)


async def test_what_is_surely_too_long_is_not_tried() -> None:
    async with two_targets(TOO_LONG, HELLO, provider_a=model("one", context_window=1000)) as pair:
        answered = await pair.ask(text="word " * 4000)
        assert (answered.provider, answered.attempts, pair.a.count) == ("b", 1, 0)


@pytest.mark.parametrize("fault", POLICIES)
@pytest.mark.parametrize("streams", [True, False])
async def test_a_policys_refusal_is_passed_on_and_not_routed_around(
    fault: str, streams: bool
) -> None:
    async with two_targets(FAULTS[fault], HELLO) as pair:
        failed = await pair.fail(streams=streams)
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "CONTENT_BLOCKED",
        )
        assert failed.failure is not None
        (attempt,) = failed.failure.attempts
        assert attempt.provider_code in {"content_policy_violation", "content_filter"}
        assert (pair.a.count, pair.b.count) == (1, 0)


@pytest.mark.parametrize("target", ["b/two", "b/free"])
async def test_a_target_for_blocked_content_is_asked_where_the_route_names_one(target: str) -> None:
    async with two_targets(
        FAULTS["http_400_content_policy"], HELLO, route={"blocked_content": target}
    ) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        assert answered.failures == "a/one=CONTENT_BLOCKED;400"
        assert pair.up_b.requests[0].json()["model"] == target[2:]
        # Who asks for no other target gets none.
        failed = await pair.fail(routing={"disable_fallback": True})
        assert failed.reason == "CONTENT_BLOCKED"


async def test_blocked_content_that_is_blocked_there_too_is_told() -> None:
    blocked = FAULTS["http_400_content_policy"]
    async with two_targets(blocked, blocked, route={"blocked_content": "b/free"}) as pair:
        failed = await pair.fail()
        assert failed.reason == "CONTENT_BLOCKED"
        assert failed.failure is not None
        assert [attempt.provider for attempt in failed.failure.attempts] == ["a", "b"]
        assert (pair.a.count, pair.b.count) == (1, 1)


async def test_a_refusal_after_another_targets_fault_is_what_is_told() -> None:
    async with two_targets(FAULTS["http_502"], FAULTS["http_400_content_policy"]) as pair:
        failed = await pair.fail()
        assert failed.reason == "CONTENT_BLOCKED"
        assert failed.trailers["x-llmgateway-failures"] == (
            "a/one=PROVIDER_ERROR;502,a/one=PROVIDER_ERROR;502,b/two=CONTENT_BLOCKED;400"
        )
