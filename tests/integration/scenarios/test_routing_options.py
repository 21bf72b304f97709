"""What the caller says of the routing, and what its own retries do to ours."""

import pytest

from llmgateway.v1 import generation_service_pb2 as pb
from support.gateway import ask
from support.grpc_raw import RawGrpc, frame_message
from support.openai import FAULTS, stream_text
from support.two_targets import ROUTE, two_targets

HELLO = stream_text(["hel", "lo"])
DEAD = FAULTS["http_502"]
# As a mesh says it; grpc keeps its own header for its own retries.
RETRIED = [("x-envoy-attempt-count", "2")]
GENERATE = "/llmgateway.v1.GenerationService/GenerateStream"


async def test_the_callers_order_goes_before_the_routes() -> None:
    async with two_targets(HELLO, HELLO) as pair:
        answered = await pair.ask(routing={"provider_order": ["nobody", "b"]})
        assert (answered.provider, pair.a.count) == ("b", 0)
        pair.up_b.script = DEAD
        answered = await pair.ask(routing={"provider_order": ["b"]})
        assert (answered.provider, answered.attempts) == ("a", 3)


async def test_without_fallback_only_the_first_candidate_is_asked() -> None:
    async with two_targets(DEAD, HELLO) as pair:
        failed = await pair.fail(routing={"disable_fallback": True})
        assert failed.reason == "PROVIDER_ERROR"
        assert (pair.a.count, pair.b.count) == (2, 0)
        answered = await pair.ask(routing={"disable_fallback": True, "provider_order": ["b"]})
        assert answered.provider == "b"


@pytest.mark.parametrize(("most", "asked"), [(1, (1, 0)), (2, (1, 1)), (3, (2, 1))])
async def test_the_caller_may_have_fewer_attempts(most: int, asked: tuple[int, int]) -> None:
    async with two_targets(DEAD, DEAD) as pair:
        await pair.fail(routing={"max_attempts": most})
        assert (pair.a.count, pair.b.count) == asked


async def test_a_route_may_have_fewer_attempts() -> None:
    async with two_targets(DEAD, DEAD, route={"retry": {"attempts": 2}}) as pair:
        await pair.fail(routing={"max_attempts": 3})
        assert (pair.a.count, pair.b.count) == (1, 1)


@pytest.mark.parametrize("streams", [True, False])
async def test_the_clients_own_retries_halve_ours(streams: bool) -> None:
    """Pain 30: layers of retries that multiply."""
    async with two_targets(DEAD, DEAD) as pair:
        failed = await pair.fail(streams=streams, metadata=RETRIED)
        assert pair.a.count + pair.b.count == 1
        assert failed.trailers["grpc-retry-pushback-ms"] == "-1"


async def test_grpcs_retries_count_like_a_meshs() -> None:
    async with two_targets(DEAD, DEAD) as pair:
        host, _, port = pair.running.address.rpartition(":")
        async with RawGrpc(host, int(port)) as raw:
            stream = await raw.open(GENERATE, metadata=[("grpc-previous-rpc-attempts", "1")])
            asked = ask(model=ROUTE).SerializeToString()
            await raw.send(stream, frame_message(asked), end_stream=True)
            reply = await raw.reply(stream)
        assert dict(reply.trailers)["x-llmgateway-attempts"] == "1"
        assert pair.a.count + pair.b.count == 1


async def test_a_strategy_without_priority_asks_everyone_in_turn() -> None:
    async with two_targets(HELLO, HELLO, route={"strategy": "round_robin"}) as pair:
        answers = [(await pair.ask()).provider for _ in range(6)]
        assert answers == ["a", "b"] * 3


async def test_least_latency_serves_before_it_has_seen_anything() -> None:
    """Pain 35: a strategy that fails for want of samples takes the whole route with it."""
    async with two_targets(HELLO, HELLO, route={"strategy": "least_latency"}) as pair:
        for _ in range(6):
            assert (await pair.ask()).text == "hello"
        assert pair.a.count
        assert pair.b.count


async def test_a_plain_model_name_is_a_route_over_all_who_list_it() -> None:
    listed: dict[str, object] = {"models": {"shared": {}}}
    async with two_targets(DEAD, HELLO, provider=listed, routes={}) as pair:
        answered = await pair.ask(model="shared")
        assert (answered.text, answered.provider, answered.attempts) == ("hello", "b", 3)


async def test_a_target_that_is_named_is_the_only_one_asked() -> None:
    async with two_targets(DEAD, HELLO) as pair:
        failed = await pair.fail(model="a/one")
        assert failed.reason == "PROVIDER_ERROR"
        assert (pair.a.count, pair.b.count) == (2, 0)


async def test_nothing_of_the_request_is_changed_for_the_second_target() -> None:
    """Pain 38: a request that the gateway alters misses the provider's prompt cache."""
    async with two_targets(DEAD, HELLO) as pair:
        await pair.ask(sampling=pb.SamplingOptions(temperature=0.7))
        bodies = [each.json() for each in (*pair.up_a.requests, *pair.up_b.requests)]
        models = [body.pop("model") for body in bodies]
        assert models == ["one", "one", "two"]
        assert bodies[0] == bodies[1] == bodies[2]
        assert bodies[0]["temperature"] == 0.7
