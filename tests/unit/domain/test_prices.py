"""What a call costs: exact integers, and no number where a price is not known."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.prices import Prices, PriceTier, nano_dollars

DOLLAR = 10**9
# gpt-4o's: $2.50, $10.00 and $1.25 a million tokens.
GPT_4O = Prices(input=2_500_000_000, output=10 * DOLLAR, cached_input=1_250_000_000)
# claude-sonnet-4-5's, where long prompts cost more and cache writes too.
CLAUDE = Prices(
    input=3 * DOLLAR,
    output=15 * DOLLAR,
    cached_input=300_000_000,
    cache_write=3_750_000_000,
    tiers=(
        PriceTier(
            above=200_000,
            input=6 * DOLLAR,
            output=22_500_000_000,
            cached_input=600_000_000,
            cache_write=7_500_000_000,
        ),
    ),
)

COUNTS = st.integers(-(2**70), 2**70)
RATES = st.none() | st.integers(0, 2**60)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


@st.composite
def priced(draw: st.DrawFn) -> Prices:
    rates = st.tuples(RATES, RATES, RATES, RATES)
    starts = draw(st.lists(st.integers(0, 10**6), max_size=3, unique=True).map(sorted))
    tiers = tuple(
        PriceTier(above=start, input=i, output=o, cached_input=c, cache_write=w)
        for start in starts
        for i, o, c, w in [draw(rates)]
    )
    return Prices(*draw(rates), tiers=tiers)


@pytest.mark.parametrize(
    ("usage", "nano"),
    [
        (Usage(1_000_000, 0), 2_500_000_000),
        (Usage(1000, 500), 2_500_000 + 5_000_000),
        # 400 of the 1000 came from the cache.
        (Usage(1000, 0, cached_input_token_count=400), 600 * 2500 + 400 * 1250),
        # Reasoning is part of the output, and paid for once.
        (Usage(0, 500, reasoning_token_count=300), 5_000_000),
        (Usage(), 0),
    ],
)
def test_counts_are_paid_for_once(usage: Usage, nano: int) -> None:
    assert GPT_4O.cost(usage) == nano


def test_cached_and_written_tokens_are_parts_of_the_input() -> None:
    usage = Usage(1000, 0, cached_input_token_count=300, cache_write_input_token_count=200)
    assert CLAUDE.cost(usage) == 500 * 3000 + 300 * 300 + 200 * 3750


def test_without_a_price_of_their_own_cached_and_written_tokens_cost_as_input() -> None:
    prices = Prices(input=DOLLAR, output=DOLLAR)
    usage = Usage(1000, 0, cached_input_token_count=300, cache_write_input_token_count=200)
    assert prices.cost(usage) == prices.cost(Usage(1000, 0)) == 1_000_000


def test_a_free_model_costs_zero_and_an_unknown_one_nothing_that_is_known() -> None:
    assert Prices(input=0, output=0).cost(Usage(10, 10)) == 0
    assert Prices().cost(Usage(10, 10)) is None
    assert Prices().cost(Usage()) is None
    assert Prices(output=DOLLAR).cost(Usage(10, 10)) is None


def test_an_output_price_is_needed_by_those_who_have_output() -> None:
    embedding = Prices(input=20_000_000)
    assert embedding.cost(Usage(1000, 0)) == 20_000
    assert embedding.cost(Usage(1000, 1)) is None


def test_a_long_prompt_prices_the_whole_call_by_its_tier() -> None:
    assert CLAUDE.cost(Usage(200_000, 10)) == 200_000 * 3000 + 10 * 15_000
    assert CLAUDE.cost(Usage(200_001, 10)) == 200_001 * 6000 + 10 * 22_500
    cached = Usage(200_001, 0, cached_input_token_count=200_001)
    assert CLAUDE.cost(cached) == 200_001 * 600


def test_the_last_tier_that_was_passed_counts() -> None:
    tiers = (PriceTier(above=10, input=2 * DOLLAR), PriceTier(above=20, input=4 * DOLLAR))
    prices = Prices(input=DOLLAR, tiers=tiers)
    costs = [prices.cost(Usage(count, 0)) for count in (10, 11, 20, 21)]
    assert costs == [10_000, 22_000, 40_000, 84_000]


@pytest.mark.parametrize(
    ("rate", "tokens", "nano"),
    [(1, 499_999, 0), (1, 500_000, 1), (1, 1_499_999, 1), (1, 1_500_000, 2), (999_999, 1, 1)],
)
def test_half_a_nano_dollar_is_rounded_up(rate: int, tokens: int, nano: int) -> None:
    assert Prices(input=rate).cost(Usage(tokens, 0)) == nano


def test_the_sum_is_rounded_and_not_its_terms() -> None:
    third = Prices(input=400_000, output=400_000)
    assert third.cost(Usage(1, 1)) == 1


def test_counts_that_contradict_each_other_are_cut_down() -> None:
    too_much = Usage(100, 0, cached_input_token_count=10**9, cache_write_input_token_count=60)
    assert CLAUDE.cost(too_much) == 60 * 3750 + 40 * 300
    assert GPT_4O.cost(Usage(-5, -5, -5, -5)) == 0


def test_what_the_contract_cannot_carry_is_not_known() -> None:
    assert Prices(input=10**6).cost(Usage(2**63 - 1, 0)) == 2**63 - 1
    assert Prices(input=10**6).cost(Usage(2**63, 0)) is None


@given(priced(), USAGES)
def test_whatever_the_counts_there_is_a_cost_or_none(prices: Prices, usage: Usage) -> None:
    cost = prices.cost(usage)
    assert cost is None or (type(cost) is int and 0 <= cost < 2**63)


@given(priced(), st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_the_cost_is_the_exact_sum_to_half_a_nano_dollar(
    prices: Prices, total: int, output: int, data: st.DataObject
) -> None:
    written = data.draw(st.integers(0, total))
    cached = data.draw(st.integers(0, total - written))
    rates = ([prices, *(tier for tier in prices.tiers if total > tier.above)])[-1]
    cost = prices.cost(Usage(total, output, cached, written))
    if rates.input is None or (output and rates.output is None):
        assert cost is None
        return
    exact = Fraction(
        (total - written - cached) * rates.input
        + cached * (rates.input if rates.cached_input is None else rates.cached_input)
        + written * (rates.input if rates.cache_write is None else rates.cache_write)
        + output * (rates.output or 0),
        10**6,
    )
    if cost is None:
        assert exact > 2**63 - 1
    else:
        assert abs(cost - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [
        ("2.5", 2_500_000_000),
        ("0.0375", 37_500_000),
        ("0", 0),
        ("0.0000000005", 1),
        ("1e3", 10**12),
    ],
)
def test_dollars_become_nano_dollars(dollars: str, nano: int) -> None:
    assert nano_dollars(Decimal(dollars)) == nano
