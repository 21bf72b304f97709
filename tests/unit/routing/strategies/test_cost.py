"""`cost` asks the cheapest for this very call."""

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.prices import Prices, PriceTier
from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.routing.strategies.cost import Cost, expected_cost
from support.candidates import WORK, candidate, candidates, models, works

DOLLAR = 1_000_000_000


def cost(*asked: Candidate, work: Work = WORK) -> str:
    return models(Cost().order(asked, work))


def priced(model: str, given: float, made: float, **fields: object) -> Candidate:
    """With prices in dollars for a million tokens."""
    prices = Prices(int(given * DOLLAR), int(made * DOLLAR), int(given * DOLLAR / 10))
    return candidate(model, **{"prices": prices, **fields})


def test_the_cheapest_is_first() -> None:
    assert cost(priced("a", 3, 15), priced("b", 1, 5), priced("c", 2, 10)) == "bca"


def test_it_depends_on_what_the_call_takes() -> None:
    reader, writer = priced("r", 1, 10), priced("w", 4, 4)
    assert cost(reader, writer, work=Work(10_000, 100)) == "rw"
    assert cost(reader, writer, work=Work(100, 10_000)) == "wr"


def test_a_cached_prompt_makes_a_dear_model_the_cheaper_one() -> None:
    plain, cached = priced("p", 1, 5), priced("c", 2, 5, cached_share=0.9)
    assert cost(plain, cached, work=Work(10_000, 100)) == "cp"


def test_a_long_prompt_enters_its_tier() -> None:
    tiers = (PriceTier(5 * DOLLAR, 5 * DOLLAR, above=100_000),)
    stepped = candidate("s", prices=Prices(1 * DOLLAR, 1 * DOLLAR, tiers=tiers))
    assert cost(priced("p", 2, 2), stepped, work=Work(100_000, 10)) == "sp"
    assert cost(priced("p", 2, 2), stepped, work=Work(100_001, 10)) == "ps"


def test_an_unknown_price_is_never_free() -> None:
    dear = priced("d", 1000, 1000)
    half = candidate("h", prices=Prices(input=1))
    assert cost(candidate("u"), half, dear) == "duh"


def test_what_is_free_is_cheapest() -> None:
    assert cost(priced("a", 1, 1), candidate("u"), priced("f", 0, 0)) == "fau"


def test_the_same_cost_keeps_the_routes_order() -> None:
    assert cost(priced("b", 1, 5), priced("a", 1, 5), priced("c", 1, 5)) == "bac"


def test_a_target_that_is_not_healthy_is_cheap_only_among_its_like() -> None:
    assert cost(
        priced("x", 0.1, 0.1, is_healthy=False),
        priced("y", 0.05, 0.05, is_healthy=False),
        priced("a", 9, 9),
        candidate("u"),
    ) == ("auyx")


@given(asked=candidates, work=works)
def test_nobody_stands_behind_a_dearer_one(asked: list[Candidate], work: Work) -> None:
    ordered = Cost().order(asked, work)
    for health in (True, False):
        costs = [expected_cost(each, work) for each in ordered if each.is_healthy is health]
        known = [each for each in costs if each is not None]
        assert known == sorted(known)
        assert costs[len(known) :] == [None] * (len(costs) - len(known))


@given(work=works, share=st.floats(0.0, 1.0), more=st.floats(0.0, 1.0))
def test_more_from_the_cache_never_costs_more(work: Work, share: float, more: float) -> None:
    less, most = sorted((share, more))
    one = expected_cost(priced("a", 2, 10, cached_share=less), work)
    other = expected_cost(priced("a", 2, 10, cached_share=most), work)
    assert other is None or one is None or other <= one
