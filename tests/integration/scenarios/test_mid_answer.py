"""Failures in the middle of an answer: whole in the end and exactly once, or honestly cut."""

import grpc
import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from support.openai import (
    FAULTS,
    ToolCall,
    error,
    error_chunk,
    finish_chunk,
    reasoning_chunk,
    role_chunk,
    start_stream,
    stream_chunks,
    stream_text,
    stream_tools,
    text_chunk,
    tool_head_chunk,
    tool_piece_chunk,
    usage_chunk,
)
from support.openai.errors import HTTP_ERRORS
from support.recorder import Recorder
from support.two_targets import model, two_targets
from support.upstream import Conn, Script

TOKENS = [f"word{number} " for number in range(60)]
WHOLE = "".join(TOKENS)
BEGUN = "".join(TOKENS[:40])
ALL = stream_text(TOKENS)
REST = stream_text(TOKENS[40:])
OTHER = stream_text(["another ", "answer"])
PREFILL = model("two", prefill=True)
NO_PREFILL = model("two", prefill=False)
DETERMINISTIC = {"temperature": 0}
RESTART = pb.RECOVERY_MODE_RESTART
NONE = pb.RECOVERY_MODE_NONE


async def reset(conn: Conn) -> None:
    conn.reset()


async def fin(conn: Conn) -> None:
    await conn.raw(b"100\r\ndata: {")
    conn.close()


async def malformed(conn: Conn) -> None:
    await conn.event('{"id": "chatcmpl-1", "choices": [{"index": 0, "del')
    await conn.stall()


async def in_stream_error(conn: Conn) -> None:
    await conn.event(error_chunk())
    await conn.stall()


async def end_without_finish(conn: Conn) -> None:
    await conn.end()


async def silence(conn: Conn) -> None:
    await conn.stall()


CUTS = [reset, fin, malformed, in_stream_error, end_without_finish, silence]


def cut(how: Script = reset, tokens: int = 40) -> Recorder:
    """An answer of 60 tokens that breaks off after 40."""

    async def script(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        for token in TOKENS[:tokens]:
            await conn.event(text_chunk(token))
        # What was sent has to be read before the connection breaks.
        await conn.sleep(0.05)
        await how(conn)

    return Recorder(script)


@pytest.mark.parametrize("how", CUTS, ids=lambda how: how.__name__)
async def test_a_deterministic_answer_is_spliced(how: Script) -> None:
    """Pains 1, 2, 3 and 7: nothing is lost and nothing is said twice."""
    timers = {"timeouts": {"idle_bytes": "300ms"}}
    async with two_targets(cut(how), ALL, provider_a=timers, provider_b=NO_PREFILL) as pair:
        answered = await pair.ask(sampling=DETERMINISTIC)
        assert answered.passed_on == WHOLE
        assert answered.recovered == ["CONTINUED"]
        assert (answered.provider, answered.attempts) == ("b", 2)
        assert answered.recoveries[0].cause.provider == "a"
        assert answered.recoveries[0].route.provider == "b"
        assert answered.failures.startswith("a/one=PROVIDER_")
        # What the failed attempt burnt is in the usage, and in nobody's answered calls.
        (one, wasted), (two, _) = pair.totals("a"), pair.totals("b")
        assert (one.calls, wasted.calls, two.calls) == (0, 1, 1)
        assert answered.usage.input_token_count == 12 + wasted.input_token_count
        assert answered.usage.output_token_count == 5 + wasted.output_token_count


@pytest.mark.parametrize("how", CUTS, ids=lambda how: how.__name__)
async def test_a_target_that_takes_a_beginning_goes_on_from_it(how: Script) -> None:
    timers = {"timeouts": {"idle_bytes": "300ms"}}
    async with two_targets(cut(how), REST, provider_a=timers, provider_b=PREFILL) as pair:
        answered = await pair.ask()
        assert answered.passed_on == WHOLE
        assert answered.recovered == ["CONTINUED"]
        assert (answered.provider, answered.attempts) == ("b", 2)
        (asked,) = pair.up_b.requests
        last = asked.json()["messages"][-1]
        assert (last["role"], last["content"]) == ("assistant", BEGUN.rstrip())


async def test_a_restart_drops_what_came_and_begins_anew() -> None:
    async with two_targets(cut(), OTHER, provider_b=NO_PREFILL) as pair:
        answered = await pair.ask(recovery=RESTART)
        assert answered.passed_on == BEGUN + "another answer"
        assert answered.text == "another answer"
        assert answered.recovered == ["RESTARTED"]
        assert answered.attempts == 2


async def test_another_answer_of_the_same_model_is_the_restart_itself() -> None:
    """The one that was made to be compared is not thrown away, nor paid for twice."""
    route = {"targets": ["a/one", "b/one"]}
    async with two_targets(cut(), OTHER, route=route) as pair:
        answered = await pair.ask(recovery=RESTART)
        assert (answered.text, answered.recovered) == ("another answer", ["RESTARTED"])
        assert (answered.attempts, pair.b.count) == (2, 1)


async def test_a_unary_call_restarts_unseen() -> None:
    async with two_targets(cut(), OTHER, provider_b=NO_PREFILL) as pair:
        answered = await pair.ask(streams=False)
        assert (answered.text, answered.provider, answered.attempts) == ("another answer", "b", 2)
        assert answered.failures == "a/one=PROVIDER_ERROR;200"


@pytest.mark.parametrize("way", ["none", "route", "no way"])
async def test_where_nothing_may_follow_the_cut_is_told(way: str) -> None:
    """Pain 1: the status says that the answer is not whole."""
    recovery = NONE if way == "none" else None
    route = {"recovery": "none"} if way == "route" else {}
    b = NO_PREFILL if way == "no way" else PREFILL
    async with two_targets(cut(), ALL, route=route, provider_b=b) as pair:
        failed = await pair.fail(recovery=recovery)
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")
        assert failed.failure is not None
        assert failed.failure.partial_output_sent
        assert failed.failure.usage.output_token_count > 0
        told = [attempt.provider for attempt in failed.failure.attempts]
        # The same model may write the same words again: the one that failed is asked once more.
        assert told == (["a", "a"] if way == "no way" else ["a"])
        assert (pair.a.count, pair.b.count) == (len(told), 0)
        assert failed.trailers["grpc-retry-pushback-ms"] == "-1"


async def test_another_answer_is_never_spliced_in() -> None:
    async with two_targets(cut(), OTHER, provider_b=NO_PREFILL) as pair:
        failed = await pair.fail(sampling=DETERMINISTIC)
        assert failed.reason == "STREAM_INTERRUPTED"
        assert pair.b.count == 1
        assert pair.totals("b")[1].calls == 1


CALL = ToolCall("call_1", "look_up", ['{"wo', 'rd": "x"}'])


async def cut_in_a_tool_call(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(role_chunk())
    await conn.event(tool_head_chunk(0, "call_0", "look_up"))
    await conn.event(tool_piece_chunk(0, '{"wor'))
    await conn.sleep(0.05)
    conn.reset()


TOOL = pb.ToolDefinition(name="look_up", parameters_schema_json='{"type": "object"}')


async def test_half_a_tool_call_is_never_gone_on_with() -> None:
    """Pain 7: halves of two tool calls' JSON made into one."""
    async with two_targets(cut_in_a_tool_call, stream_tools(CALL), provider_b=PREFILL) as pair:
        failed = await pair.fail(sampling=DETERMINISTIC, tools=[TOOL])
        assert failed.reason == "STREAM_INTERRUPTED"
        assert pair.b.count == 0
        answered = await pair.ask(recovery=RESTART, tools=[TOOL])
        assert answered.arguments == CALL.arguments
        assert answered.recovered == ["RESTARTED"]


async def cut_in_its_reasoning(conn: Conn) -> None:
    await start_stream(conn)
    await conn.event(role_chunk())
    await conn.event(reasoning_chunk("let me think"))
    await conn.sleep(0.05)
    conn.reset()


async def test_shown_reasoning_is_only_restarted() -> None:
    whole = stream_chunks([reasoning_chunk("let me think again"), text_chunk("done")])
    shown = pb.OutputOptions(include_reasoning=True)
    async with two_targets(cut_in_its_reasoning, whole, provider_b=PREFILL) as pair:
        failed = await pair.fail(output=shown, sampling=DETERMINISTIC)
        assert failed.reason == "STREAM_INTERRUPTED"
        answered = await pair.ask(output=shown, recovery=RESTART)
        assert (answered.text, answered.recovered) == ("done", ["RESTARTED"])


async def test_hidden_reasoning_was_delivered_to_nobody() -> None:
    whole = stream_chunks([reasoning_chunk("hm"), text_chunk("done")])
    async with two_targets(cut_in_its_reasoning, whole) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.recovered) == ("done", [])


@pytest.mark.parametrize("tokens", [1, 20])
async def test_a_stream_that_falls_silent_goes_on_elsewhere(tokens: int) -> None:
    """Pain 16."""
    timers = {"timeouts": {"idle_bytes": "300ms"}}
    async with two_targets(
        cut(silence, tokens), ALL, provider_a=timers, provider_b=NO_PREFILL
    ) as pair:
        answered = await pair.ask(sampling=DETERMINISTIC)
        assert answered.passed_on == WHOLE
        assert pair.a.count == 1
        await pair.up_a.wait_closed()


async def test_an_end_without_done_is_an_end() -> None:
    """A finish reason is what ends an answer: nobody waits for [DONE], and usage is read."""

    async def no_done(conn: Conn) -> None:
        await start_stream(conn)
        await conn.event(role_chunk())
        await conn.event(text_chunk("hello"))
        await conn.event(finish_chunk())
        await conn.event(usage_chunk(7, 3))
        await conn.end()

    async with two_targets(no_done, ALL) as pair:
        answered = await pair.ask()
        assert (answered.text, answered.attempts) == ("hello", 1)
        assert answered.usage.input_token_count == 7
        assert answered.usage.output_token_count == 3
        assert answered.finish.total_duration.ToMilliseconds() < 500


async def test_a_refused_beginning_is_spliced_instead_and_its_400_never_shown() -> None:
    """Pain 9: the fallback's refusal of a prefill hid the real failure."""
    refuses = error(400, HTTP_ERRORS["http_400_unsupported_parameter"].body)
    async with two_targets(cut(), Recorder(refuses, ALL), provider_b=PREFILL) as pair:
        answered = await pair.ask(sampling=DETERMINISTIC)
        assert answered.passed_on == WHOLE
        assert answered.attempts == 3
        assert "REJECTED" not in answered.failures


async def test_where_only_a_beginning_would_help_its_refusal_hides_nothing() -> None:
    """Pain 9."""
    refuses = error(400, HTTP_ERRORS["http_400_unsupported_parameter"].body)
    async with two_targets(cut(), refuses, provider_b=PREFILL) as pair:
        failed = await pair.fail()
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_INTERRUPTED")
        assert "Unsupported parameter" not in failed.everything
        assert failed.failure is not None
        assert [attempt.provider for attempt in failed.failure.attempts] == ["a"]


async def test_a_second_failure_does_not_hide_the_first() -> None:
    async with two_targets(cut(), FAULTS["http_401"], provider_b=PREFILL) as pair:
        failed = await pair.fail()
        assert failed.reason == "STREAM_INTERRUPTED"
        assert failed.failure is not None
        told = [(each.provider, each.http_status) for each in failed.failure.attempts]
        assert told == [("a", 200), ("b", 401), ("a", 200)]
        assert failed.trailers["x-llmgateway-failures"].startswith(
            "a/one=PROVIDER_ERROR;200,b/two=PROVIDER_CREDENTIALS_REJECTED;401,a/one="
        )


async def test_an_answer_survives_two_cuts() -> None:
    async with two_targets(
        Recorder(cut(reset, 20), ALL), cut(reset, 40), provider_b=NO_PREFILL
    ) as pair:
        answered = await pair.ask(sampling=DETERMINISTIC)
        assert answered.passed_on == WHOLE
        assert answered.recovered == ["CONTINUED", "CONTINUED"]
        assert (answered.provider, answered.attempts) == ("a", 3)


async def test_a_policy_that_strikes_in_the_middle_is_told_as_itself() -> None:
    """Even where a target for blocked content stands ready: it cannot go on with this answer."""

    async def blocked(conn: Conn) -> None:
        await conn.event(error_chunk("filtered", "invalid_request_error", "content_filter"))
        await conn.stall()

    route = {"blocked_content": "b/free"}
    async with two_targets(cut(blocked), ALL, route=route) as pair:
        failed = await pair.fail()
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "CONTENT_BLOCKED",
        )
        assert failed.failure is not None
        assert failed.failure.partial_output_sent
        assert pair.b.count == 0
        assert (await pair.ask(sampling=DETERMINISTIC)).passed_on == WHOLE
