"""What calls cost: as reported, or by an estimate that says so; answered and wasted apart."""

import asyncio

import pytest

from llmgateway_server.domain.answer import Finish, FinishReason, Usage
from llmgateway_server.domain.catalog import ProviderEntry, Target
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.events import StreamEvent, TextDelta
from llmgateway_server.domain.prices import Prices
from llmgateway_server.domain.request import CallOptions, GenerationRequest, RecoveryMode
from llmgateway_server.domain.timers import Timers
from llmgateway_server.gateway.accounts import Account, Accounts, Totals
from llmgateway_server.gateway.answering import Answering
from llmgateway_server.gateway.gateway import Gateway
from support.money import PRICES, FixedPrices, FourBytesAToken
from support.provider import ScriptedProvider, Step, gateway_over
from support.virtual_time import run_virtual

TARGET = Target("up", "m")
ASK = GenerationRequest("up/m", (Message(Role.USER, (TextPart("four and four"),)),))
STOP = Finish(FinishReason.STOP, "stop")


def run(
    *steps: Step, prices: Prices | None = PRICES, reads: int = 100
) -> tuple[list[StreamEvent], GatewayError | None, Account]:
    """The events of a call that is read `reads` times at most, its error, and its account."""

    async def main() -> tuple[list[StreamEvent], GatewayError | None, Account]:
        gateway, generation = await called(ScriptedProvider(steps), prices)
        events: list[StreamEvent] = []
        failure: GatewayError | None = None
        try:
            for _ in range(reads):
                events += await generation.read()
                if isinstance(events[-1], Finish):
                    break
        except GatewayError as error:
            failure = error
        finally:
            generation.close()
            generation.close()
        return events, failure, gateway.accounts.totals()[TARGET]

    return run_virtual(main())


async def called(provider: ScriptedProvider, prices: Prices | None) -> tuple[Gateway, Answering]:
    """A gateway over the provider, and a call of it that goes nowhere else."""
    gateway = gateway_over(provider, prices=FixedPrices(prices))
    return gateway, await gateway.generate(ASK, CallOptions(600.0, RecoveryMode.NONE))


def test_an_answer_costs_what_its_provider_reports() -> None:
    events, _, account = run([TextDelta(0, "yes")], [Usage(10, 5), STOP])
    usage = Usage(10, 5, cost_nano_usd=20)
    assert events[-2] == usage
    assert account == Account(Totals(1, 10, 5, 20), Totals())


def test_an_unknown_price_is_no_cost_and_never_zero() -> None:
    events, _, account = run([TextDelta(0, "yes")], [Usage(10, 5), STOP], prices=None)
    assert events[-2] == Usage(10, 5, cost_nano_usd=None)
    assert account.answered == Totals(1, 10, 5, 0, unpriced=1)


def test_an_answer_without_usage_is_estimated_and_says_so() -> None:
    events, _, account = run([TextDelta(0, "yes, yes")], [STOP])
    # 13 bytes in, 8 out, four to a token.
    assert events[-2] == Usage(4, 2, cost_nano_usd=8, is_estimated=True)
    assert account.answered == Totals(1, 4, 2, 8)


def test_a_cancelled_stream_is_charged_with_an_estimate_apart_from_answers() -> None:
    _, _, account = run([TextDelta(0, "yes, yes")], [TextDelta(0, "more")], reads=1)
    assert account == Account(Totals(), Totals(1, 4, 2, 8))


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        # As Anthropic tells it before the answer, whose eight bytes are two tokens.
        (Usage(100, 1), Usage(100, 2, cost_nano_usd=104, is_estimated=True)),
        # As DeepSeek tells it with every chunk.
        (Usage(100, 7), Usage(100, 7, cost_nano_usd=114)),
    ],
)
def test_what_broke_off_has_cost_no_less_than_was_sent(reported: Usage, expected: Usage) -> None:
    entry = ProviderEntry("up", "scripted", passes_any_model=True, timers=Timers())
    accounts = Accounts(FixedPrices(PRICES), FourBytesAToken(), {"up": entry})
    assert accounts.broken_off(TARGET, reported, 13, 8) == expected


def test_a_stream_that_breaks_off_tells_what_it_has_burnt() -> None:
    cut = GatewayError(Reason.PROVIDER_ERROR, "cut")
    _, failure, account = run([TextDelta(0, "yes, yes")], cut)
    assert failure is not None
    assert failure.usage == Usage(4, 2, cost_nano_usd=8, is_estimated=True)
    assert account == Account(Totals(), Totals(1, 4, 2, 8))


def test_a_refused_call_has_burnt_nothing() -> None:
    async def main() -> None:
        provider = ScriptedProvider(refusal=GatewayError(Reason.PROVIDER_ERROR, "no"))
        gateway, generation = await called(provider, PRICES)
        with pytest.raises(GatewayError):
            await generation.read()
        generation.close()
        assert gateway.accounts.totals() == {}

    run_virtual(main())


def test_names_without_end_share_one_account() -> None:
    entry = ProviderEntry("up", "scripted", passes_any_model=True, timers=Timers())
    accounts = Accounts(FixedPrices(), FourBytesAToken(), {"up": entry})
    for number in range(1200):
        accounts.answered(Target("up", str(number)), Usage(1, 1))
    assert len(accounts.totals()) == 1001
    assert accounts.totals()[Target("*", "*")].answered.calls == 200


def test_a_cancel_in_the_middle_of_a_read_is_charged_too() -> None:
    async def main() -> None:
        provider = ScriptedProvider([[TextDelta(0, "yes, yes")], 60.0, [STOP]])
        gateway = gateway_over(provider, prices=FixedPrices(PRICES))

        async def call() -> None:
            generation = await gateway.generate(ASK, CallOptions(600.0))
            try:
                while True:
                    await generation.read()
            finally:
                generation.close()

        task = asyncio.ensure_future(call())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert gateway.accounts.totals()[TARGET].wasted == Totals(1, 4, 2, 8)

    run_virtual(main())
