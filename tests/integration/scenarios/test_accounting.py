"""Who answered and what it took: trailers, route, usage, the gateway's own accounts."""

import pytest

from support.openai import FAULTS, stream_text
from support.recorder import Recorder
from support.two_targets import model, two_targets

HELLO = stream_text(["hel", "lo"])
PRICED = {"input": 1, "output": 2}


@pytest.mark.parametrize("streams", [True, False])
async def test_a_call_names_who_answered_and_every_failed_attempt(streams: bool) -> None:
    async with two_targets(
        FAULTS["http_502"], HELLO, provider_b=model("two", prices=PRICED)
    ) as pair:
        answered = await pair.ask(streams=streams)
        assert answered.trailers["x-llmgateway-provider"] == "b"
        assert answered.trailers["x-llmgateway-attempts"] == "3"
        assert answered.failures == "a/one=PROVIDER_ERROR;502,a/one=PROVIDER_ERROR;502"
        route = answered.route
        assert (route.provider, route.provider_model, route.attempt_count) == ("b", "two", 3)
        assert route.provider_request_id.startswith("req_")
        # What failed before it began has cost nothing.
        assert answered.usage.input_token_count == 12
        assert answered.usage.cost_nano_usd == 12 * 1000 + 5 * 2000
        (one, wasted), (two, none) = pair.totals("a"), pair.totals("b")
        assert (one.calls, wasted.calls, two.calls, none.calls) == (0, 0, 1, 0)
        assert two.cost_nano_usd == 12 * 1000 + 5 * 2000


@pytest.mark.parametrize("streams", [True, False])
async def test_what_failed_attempts_burnt_is_summed_and_not_answered(streams: bool) -> None:
    """Pain 26: attempts that were cut off were logged with no tokens although they are billed."""
    cut = FAULTS["reset_mid_stream"]
    whole = stream_text(["Once upon a time", " there was"])
    async with two_targets(
        Recorder(cut),
        whole,
        provider_a=model("one", prices=PRICED),
        provider_b=model("two", prices=PRICED),
    ) as pair:
        answered = await pair.ask(streams=streams, sampling={"temperature": 0})
        assert answered.text == "Once upon a time there was"
        wasted, two = pair.totals("a")[1], pair.totals("b")[0]
        assert (wasted.calls, two.calls) == (1, 1)
        assert wasted.output_token_count > 0
        usage = answered.usage
        assert usage.is_estimated
        assert usage.input_token_count == wasted.input_token_count + two.input_token_count
        assert usage.output_token_count == wasted.output_token_count + two.output_token_count
        assert usage.cost_nano_usd == wasted.cost_nano_usd + two.cost_nano_usd


async def test_a_call_that_fails_tells_what_it_burnt() -> None:
    cut = FAULTS["reset_mid_stream"]
    async with two_targets(cut, cut, provider_b=model("two", prefill=False)) as pair:
        failed = await pair.fail(sampling={"temperature": 0})
        assert failed.failure is not None
        wasted = [pair.totals(name)[1].output_token_count for name in "ab"]
        assert failed.failure.usage.output_token_count == sum(wasted) > 0
        assert failed.trailers["x-llmgateway-attempts"] == "3"
