"""Candidates of a route, and chance that a test decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import strategies as st

from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.prices import Prices, PriceTier
from llmgateway_server.ports.strategy import Candidate, Work

WORK = Work(input_tokens=1000, output_tokens=200)


def candidate(model: str, **fields: Any) -> Candidate:
    """A candidate at the provider `up`."""
    return Candidate(Target("up", model), **fields)


def models(candidates: Iterable[Candidate]) -> str:
    """Their models' names, joined: with names of one letter a word for the order."""
    return "".join(each.target.model for each in candidates)


def drawn(*numbers: float) -> Callable[[], float]:
    """A source of chance that gives these numbers, and then fails."""
    return iter(numbers).__next__


# Zero, the smallest and the largest that there is, and infinity.
any_amount = st.floats(min_value=0.0, allow_nan=False) | st.sampled_from(
    [0.0, 5e-324, 1e-300, 1.0, 1.7e308, math.inf]
)
below_one = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
_count = st.integers(0, 2**63 - 1)
_rate = st.none() | st.integers(0, 2**63 - 1)
_tier = st.builds(PriceTier, _rate, _rate, _rate, _rate, above=_count)
_prices = st.builds(Prices, _rate, _rate, _rate, _rate, st.lists(_tier, max_size=2).map(tuple))
candidates = st.lists(
    st.builds(
        Candidate,
        target=st.builds(Target, st.just("up"), st.sampled_from("abcdefgh")),
        weight=any_amount,
        in_flight=_count,
        time_to_first_token=st.none() | any_amount,
        time_per_token=st.none() | any_amount,
        prices=st.none() | _prices,
        cached_share=any_amount,
        is_healthy=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda each: each.target,
)
works = st.builds(Work, _count, _count)
