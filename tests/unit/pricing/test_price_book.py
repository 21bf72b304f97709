"""The price book: whose prices are taken, when they change, and what is never asked twice."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
from genai_prices.data import providers
from genai_prices.types import ModelInfo, ModelPrice, Provider
from genai_prices.types import Usage as ListedUsage
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.prices import Prices, nano_dollars
from llmgateway_server.pricing import GenaiPriceBook
from llmgateway_server.pricing.bundled import read_prices

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC).timestamp()
OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8080/v1"

MODELS = [(provider, model) for provider in providers for model in provider.models]


def book(at: float = NOON) -> GenaiPriceBook:
    return GenaiPriceBook({}, clock=lambda: at)


def test_the_vendor_decides_and_else_the_base_url() -> None:
    named = book().prices_of("openai", LOCAL, "gpt-4o")
    addressed = book().prices_of("", OPENAI, "gpt-4o")
    unknown = book().prices_of("who-is-that", OPENAI, "gpt-4o")
    assert named == addressed == unknown
    assert named == Prices(input=2_500_000_000, output=10_000_000_000, cached_input=1_250_000_000)


def test_a_server_that_nobody_lists_has_no_prices() -> None:
    assert book().prices_of("", LOCAL, "gpt-4o") is None
    assert book().prices_of("", "", "gpt-4o") is None


def test_prices_change_with_the_time() -> None:
    """OpenAI lowered o3's prices on 2025-06-10."""
    before = book(datetime(2025, 6, 9, 23, 59, tzinfo=UTC).timestamp())
    after = book(datetime(2025, 6, 10, 0, 0, tzinfo=UTC).timestamp())
    dear, cheap = (b.prices_of("openai", "", "o3") for b in (before, after))
    assert dear is not None
    assert cheap is not None
    assert (dear.input, cheap.input) == (10_000_000_000, 2_000_000_000)


def test_a_book_that_stays_open_learns_of_the_change() -> None:
    """DeepSeek's prices differ by the time of day."""
    now = [datetime(2026, 11, 16, 3, 59, 59, tzinfo=UTC).timestamp()]
    open_book = GenaiPriceBook({}, clock=lambda: now[0])
    peak = open_book.prices_of("deepseek", "", "deepseek-v4-pro")
    now[0] += 1
    later = open_book.prices_of("deepseek", "", "deepseek-v4-pro")
    assert peak is not None
    assert later is not None
    assert peak.input != later.input


def test_every_time_of_day_in_the_list_begins_a_period_of_the_cache() -> None:
    times = [
        moment
        for _, model in MODELS
        if isinstance(model.prices, list)
        for priced in model.prices
        for moment in (
            getattr(priced.constraint, "start_time", None),
            getattr(priced.constraint, "end_time", None),
        )
        if moment is not None
    ]
    assert times
    assert all(t.minute % 15 == t.second == 0 and t.tzinfo in {None, UTC} for t in times)


def test_an_answer_is_looked_up_once() -> None:
    asked = book()
    first = asked.prices_of("google", "", "gemini-2.5-pro")
    assert first is not None
    assert first.tiers
    assert asked.prices_of("google", "", "gemini-2.5-pro") is first


def test_overrides_replace_what_they_name_and_nothing_else() -> None:
    ours = Prices(input=1, output=2)
    overridden = GenaiPriceBook(
        {("openai", OPENAI, "gpt-4o"): ours, ("", LOCAL, "llama"): ours}, clock=lambda: NOON
    )
    assert overridden.prices_of("openai", OPENAI, "gpt-4o") is ours
    assert overridden.prices_of("", LOCAL, "llama") is ours
    assert overridden.prices_of("", LOCAL, "llama2") is None
    listed = overridden.prices_of("openai", OPENAI, "gpt-4o-mini")
    assert listed is not None
    assert listed != ours


@given(st.text(max_size=300), st.text(max_size=60), st.text(max_size=300))
def test_any_names_are_looked_up_in_peace(vendor: str, base_url: str, model: str) -> None:
    book().prices_of(vendor, base_url, model)


def test_endless_names_are_not_looked_up() -> None:
    assert book().prices_of("openai", OPENAI, "gpt-4o" * 10**6) is None


def test_every_listed_model_can_be_read_at_any_of_its_times() -> None:
    read = 0
    for _, model in MODELS:
        for listed in listed_prices(model):
            prices = read_prices(listed)
            if prices is not None:
                assert prices.input is not None
                assert [t.above for t in prices.tiers] == sorted({t.above for t in prices.tiers})
                read += 1
    assert read > 2000


def listed_prices(model: ModelInfo) -> list[ModelPrice]:
    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    return [priced.prices for priced in model.prices]


@given(st.sampled_from(MODELS), st.integers(0, 10**6), st.integers(0, 10**6), st.data())
def test_we_cost_what_the_list_itself_reckons(
    listed: tuple[Provider, ModelInfo], total: int, output: int, data: st.DataObject
) -> None:
    """The oracle: genai-prices' own arithmetic over Decimal."""
    _, model = listed
    written = data.draw(st.integers(0, total))
    cached = data.draw(st.integers(0, total - written))
    for theirs in listed_prices(model):
        ours = read_prices(theirs)
        cost = ours.cost(Usage(total, output, cached, written)) if ours is not None else None
        if cost is None:
            continue
        reckoned = theirs.calc_price(
            ListedUsage(
                input_tokens=total,
                output_tokens=output,
                cache_read_tokens=cached,
                cache_write_tokens=written,
            )
        )["total_price"]
        # A few listed prices have more digits than a nano-dollar has.
        assert abs(cost - nano_dollars(reckoned)) <= 2


def test_the_list_is_imported_by_those_who_ask() -> None:
    script = (
        "import sys, llmgateway_server.pricing as p\n"
        "b = p.GenaiPriceBook({})\n"
        "assert 'genai_prices' not in sys.modules\n"
        "b.load()\n"
        "assert 'genai_prices.data' in sys.modules\n"
        "import threading; assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("vendor", ["perplexity", "openai", "groq"])
def test_models_with_other_prices_than_for_tokens_are_not_priced(vendor: str) -> None:
    """Perplexity's fee for each request, audio by the token, speech by the hour."""
    model = {"perplexity": "sonar", "openai": "gpt-realtime", "groq": "whisper-large-v3"}[vendor]
    assert book().prices_of(vendor, "", model) is None
