"""What fails before the first content: nobody sees it but in the trailers."""

import asyncio

import grpc
import pytest

from support.gateway import KEY, compatible, failure_of, gateway_from
from support.openai import FAULTS, error, error_chunk, role_chunk, start_stream, stream_text
from support.openai.errors import HTTP_ERRORS
from support.recorder import Recorder, after
from support.two_targets import ROUTE, two_targets
from support.upstream import Conn, Upstream

HELLO = stream_text(["hel", "lo"])
# Nothing may take longer where nobody has to be waited for.
AT_ONCE = 0.5


@pytest.mark.parametrize("streams", [True, False])
async def test_500_once_is_asked_again_on_a_fresh_connection(streams: bool) -> None:
    async with two_targets(Recorder(FAULTS["http_500"], HELLO), HELLO) as pair:
        answered = await pair.ask(streams=streams)
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "a", 2)
        assert answered.failures == "a/one=PROVIDER_ERROR;500"
        assert (pair.a.count, pair.b.count) == (2, 0)
        assert pair.up_a.connections_total == 2


@pytest.mark.parametrize("streams", [True, False])
async def test_503_for_ever_is_answered_by_the_other(streams: bool) -> None:
    """Pains 3 and 5: the second target is asked, and nothing of the first attempt clings to it."""
    async with two_targets(FAULTS["http_502"], HELLO) as pair:
        answered = await pair.ask(streams=streams)
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 3)
        assert (pair.a.count, pair.b.count) == (2, 1)
        assert answered.route.attempt_count == 3


async def test_503_for_ever_opens_the_breaker_and_costs_no_more_attempts() -> None:
    """Pain 33: 45 attempts at a dead primary for 15 requests."""
    async with two_targets(FAULTS["http_502"], HELLO) as pair:
        for _ in range(15):
            assert (await pair.ask()).text == "hello"
        assert pair.a.count <= 6
        assert pair.b.count == 15
        assert not pair.running.gateway.targets.is_any_open(
            place.target for place in pair.running.gateway.table.routes[ROUTE].targets[:1]
        )


async def test_503_at_both_is_told_once_with_every_attempt() -> None:
    """Pain 30: nested retries, (1 + N)^2 calls upstream."""
    async with two_targets(FAULTS["http_502"], FAULTS["http_502"]) as pair:
        failed = await pair.fail()
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "PROVIDER_ERROR")
        assert failed.failure is not None
        assert [attempt.provider for attempt in failed.failure.attempts] == ["a", "a", "b"]
        assert failed.trailers["x-llmgateway-attempts"] == "3"
        assert failed.trailers["grpc-retry-pushback-ms"] == "-1"
        assert (pair.a.count, pair.b.count) == (2, 1)
        assert KEY not in failed.everything


@pytest.mark.parametrize("fault", ["reset_before_headers", "fin_before_headers"])
@pytest.mark.parametrize("streams", [True, False])
async def test_a_reset_before_the_headers_is_answered(fault: str, streams: bool) -> None:
    async with two_targets(FAULTS[fault], HELLO) as pair:
        answered = await pair.ask(streams=streams)
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 3)
        assert pair.a.count == 2


@pytest.mark.parametrize(
    "fault",
    ["invalid_json_event", "end_without_content", "html_200", "json_error_200", "empty_200"],
)
async def test_what_is_no_answer_is_answered_by_the_other(fault: str) -> None:
    """Pains 1, 2, 3: a dead, cut or malformed stream becomes no short success."""
    async with two_targets(FAULTS[fault], HELLO) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider) == ("hello", "b")
        assert answered.finish.provider_reason == "stop"


async def test_an_error_after_start_up_frames_still_fails_over() -> None:
    """Pains 4, 6, 8: an error behind the first frame, or inside the stream, is like any other."""

    async def late_error(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        await conn.sleep(0.05)
        await conn.event(error_chunk("slow down", "server_error", "rate_limit_exceeded"))
        await conn.end()

    async with two_targets(late_error, HELLO) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 2)
        assert answered.passed_on == "hello"
        assert answered.failures.startswith("a/one=PROVIDER_RATE_LIMITED")


async def test_comments_before_the_answer_are_no_answer() -> None:
    """Pain 10: keep-alive comments crash nothing, and keep nobody waiting for ever."""
    timers = {"timeouts": {"first_content": "300ms"}}
    async with two_targets(FAULTS["comments_forever"], HELLO, provider_a=timers) as pair:
        answered = await pair.ask()
        assert (answered.provider, pair.a.count) == ("b", 1)


@pytest.mark.parametrize("streams", [True, False])
async def test_both_refusing_connections_fails_at_once(streams: bool) -> None:
    async with two_targets(HELLO, HELLO) as pair:
        ports = pair.up_a.port, pair.up_b.port
    tree = {
        "providers": {
            name: compatible(f"http://127.0.0.1:{port}/v1")
            for name, port in zip("ab", ports, strict=True)
        },
        "routes": {ROUTE: {"targets": ["a/one", "b/two"]}},
    }
    loop = asyncio.get_running_loop()
    async with gateway_from(tree) as running:
        pair.running = running
        began = loop.time()
        failed = await failure_of(pair.ask(streams=streams))
        assert loop.time() - began < AT_ONCE
        assert failed.code is grpc.StatusCode.UNAVAILABLE
        assert failed.failure is not None
        told = [attempt.provider for attempt in failed.failure.attempts]
        assert told[:2] == ["a", "b"]
        assert len(told) == 3


async def test_a_closed_port_costs_no_second_try_there() -> None:
    async with Upstream() as gone:
        closed = gone.base_url
    async with two_targets(HELLO, HELLO, provider_a=compatible(closed)) as pair:
        began = asyncio.get_running_loop().time()
        answered = await pair.ask()
        assert asyncio.get_running_loop().time() - began < AT_ONCE
        assert (answered.provider, answered.attempts) == ("b", 2)


@pytest.mark.parametrize("fault", ["http_401", "http_403", "http_402"])
async def test_a_refused_key_rests_and_the_other_answers(fault: str) -> None:
    async with two_targets(FAULTS[fault], HELLO) as pair:
        answers = [await pair.ask() for _ in range(3)]
        assert [answered.provider for answered in answers] == ["b"] * 3
        assert [answered.attempts for answered in answers] == [2, 1, 1]
        assert pair.a.count == 1
        # The key belongs to the provider: none of its models is asked.
        other = await pair.fail(model="a/another")
        assert (other.code, other.reason) == (
            grpc.StatusCode.UNAVAILABLE,
            "NO_PROVIDER_AVAILABLE",
        )
        assert pair.a.count == 1


async def test_a_refused_key_alone_is_never_blamed_on_the_caller() -> None:
    async with two_targets(FAULTS["http_401"], FAULTS["http_401"]) as pair:
        failed = await pair.fail()
        assert failed.code is grpc.StatusCode.INTERNAL
        assert failed.reason == "PROVIDER_CREDENTIALS_REJECTED"
        assert KEY not in failed.everything


async def test_a_missing_model_rests_and_is_not_the_callers_fault() -> None:
    async with two_targets(FAULTS["http_404_model_not_found"], HELLO) as pair:
        assert [(await pair.ask()).provider for _ in range(3)] == ["b"] * 3
        assert pair.a.count == 1
    missing = FAULTS["http_404_model_not_found"]
    async with two_targets(missing, missing) as pair:
        failed = await pair.fail()
        assert (failed.code, failed.reason) == (grpc.StatusCode.INTERNAL, "ROUTE_MISCONFIGURED")


@pytest.mark.parametrize("fault", ["http_400_unsupported_parameter", "http_413", "http_422"])
async def test_a_request_that_anybody_would_refuse_goes_nowhere_else(fault: str) -> None:
    """Pain 27: bad requests neither fail over nor count against the target."""
    async with two_targets(FAULTS[fault], HELLO) as pair:
        for _ in range(8):
            failed = await pair.fail()
            assert failed.code is grpc.StatusCode.INVALID_ARGUMENT
        assert (pair.a.count, pair.b.count) == (8, 0)
        pair.up_a.script = HELLO
        assert (await pair.ask()).provider == "a"


async def test_a_slow_answer_at_the_first_is_not_cut_off_by_failures_elsewhere() -> None:
    """Pain 14, 15: a timer of the start does not fire once the answer has begun."""
    timers = {"timeouts": {"first_content": "400ms"}}
    slow = stream_text(["a", "b", "c", "d"], delay=0.2)
    async with two_targets(slow, HELLO, provider=timers) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.attempts) == ("abcd", 1)
    async with two_targets(after(0.9, HELLO), HELLO, provider=timers) as pair:
        assert (await pair.ask()).provider == "b"


async def test_a_fault_that_asks_for_a_wait_is_answered_by_the_other_at_once() -> None:
    """Pain 31: a Retry-After beside a 503 is honoured too, and not by letting the caller wait."""
    waits = error(502, HTTP_ERRORS["http_502"].body, {"retry-after": "30"})
    async with two_targets(waits, HELLO) as pair:
        began = asyncio.get_running_loop().time()
        answered = await pair.ask()
        assert asyncio.get_running_loop().time() - began < AT_ONCE
        assert (answered.provider, answered.attempts, pair.a.count) == ("b", 2, 1)
