"""What a mix of requests costs at each target alone, and by the `cost` strategy over all of them.

    python benchmarks/cost_strategy.py

Nothing is called: prices are those of the bundled list, capabilities those of the built-in table,
both as of one day; the mix and the targets are written below. The order is the real strategy's,
over the targets that the gateway's own check of capabilities lets through.

What is compared is the bill, for the same tokens everywhere. Quality is not compared, and models
differ in it: a route should name only models that are good enough for its callers. Tokenizers and
wordiness differ too, and a prompt cache hits less where calls are spread; neither is looked at.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

from msgspec import Struct

from llmgateway_server.config.presets import PRESETS
from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.capabilities import Capabilities, Unsupported
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.content import MediaPart, Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.prices import Prices
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Tool,
)
from llmgateway_server.models import capabilities_of, table
from llmgateway_server.ports.strategy import Candidate, Work
from llmgateway_server.pricing import GenaiPriceBook
from llmgateway_server.routing.fitting import fit
from llmgateway_server.routing.strategies.cost import Cost

AS_OF: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
SEED: Final = 5
WANTED: Final = 0.20
"""The share of the cheapest single target's bill that the strategy has to save."""

MAIN: Final = {
    "openai": ("gpt-6-astra", "gpt-6.2-sol", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-luna"),
    "anthropic": ("claude-fable-5-2", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    "gemini": (
        "gemini-3.1-pro-preview",
        "gemini-3.8-flash",
        "gemini-3.5-flash-lite",
        "gemini-3.1-flash-lite",
    ),
    "xai": ("grok-4.6", "grok-4.3", "grok-4-1-fast"),
    "mistral": ("mistral-large-2512", "mistral-medium-2604", "mistral-small-2603"),
    "deepseek": ("deepseek-v4-pro", "deepseek-v4-flash"),
    "zai": ("glm-5.2", "glm-5-turbo", "glm-4.7-flashx"),
    "groq": (
        "openai/gpt-oss-120b",
        "openai/gpt-oss-20b",
        "meta-llama/llama-4-scout-17b-16e-instruct",
        "llama-3.3-70b-versatile",
        "llama-3.1-8b-instant",
        "qwen/qwen3-32b",
    ),
    "perplexity": ("sonar-pro",),
}
"""Of every hosted vendor with a preset and a capability file its newest general models.

One of each size, and the one before it too where a price, a context window or a capability of the
newest is not known; of Groq, which hosts other makers' models, all that the table has.
"""


class Kind(Struct, frozen=True):
    """A class of requests; tokens are spread evenly over the logarithm between two bounds.

    `limit` is the max_output_tokens that its callers set; `needs` the capabilities it uses.
    """

    name: str
    count: int
    input_tokens: tuple[int, int]
    output_tokens: tuple[int, int]
    limit: int
    needs: tuple[str, ...] = ()


MIX: Final = (
    Kind("short chat", 400, (200, 4_000), (50, 600), 1_024),
    Kind("long-context summary", 100, (20_000, 300_000), (400, 1_500), 2_048),
    Kind("image question", 100, (800, 3_000), (50, 400), 1_024, ("images",)),
    Kind("tool call", 150, (1_000, 8_000), (30, 300), 1_024, ("tools",)),
    Kind("JSON-schema extraction", 150, (1_000, 10_000), (100, 1_000), 2_048, ("json_schema",)),
    Kind("reasoning", 100, (300, 4_000), (1_500, 12_000), 16_384, ("reasoning",)),
)


class Ask(Struct, frozen=True):
    """One request and what it takes; thought is part of the output."""

    kind: Kind
    request: GenerationRequest
    usage: Usage


class Place(Struct, frozen=True):
    """A target with what the gateway knows of it."""

    candidate: Candidate
    capabilities: Capabilities

    @property
    def name(self) -> str:
        """As a route names it."""
        return self.candidate.target.name


class Choice(Struct, frozen=True):
    """Who was asked, and its bill in nano-dollars."""

    ask: Ask
    place: Place
    cost: int


class Comparison(Struct, frozen=True):
    """The strategy's choices beside the cheapest target that can serve all of the mix alone."""

    single: Place
    single_cost: int
    choices: tuple[Choice, ...]

    @property
    def cost(self) -> int:
        """The strategy's bill in nano-dollars."""
        return sum(choice.cost for choice in self.choices)

    @property
    def saving(self) -> float:
        """The share of the single target's bill that is not spent."""
        return 1 - self.cost / self.single_cost


def draw(mix: Iterable[Kind] = MIX, *, cached_share: float = 0.0) -> list[Ask]:
    """The mix's requests, the same each time. What a cache gives is billed so where it has one."""
    chance = random.Random(SEED)

    def spread(bounds: tuple[int, int]) -> int:
        low, high = map(math.log, bounds)
        return round(math.exp(chance.uniform(low, high)))

    asks = []
    for kind in mix:
        for _ in range(kind.count):
            given, made = spread(kind.input_tokens), spread(kind.output_tokens)
            usage = Usage(given, made, cached_input_token_count=int(given * cached_share))
            asks.append(Ask(kind, request_of(kind), usage))
    chance.shuffle(asks)
    return asks


def request_of(kind: Kind) -> GenerationRequest:
    """A request that uses what its kind needs; its length is in the usage alone."""
    text = TextPart("as long as the usage says")
    image = (MediaPart("image/png", b"\x89PNG"),) if "images" in kind.needs else ()
    output = Output(max_output_tokens=kind.limit)
    if "reasoning" in kind.needs:
        output = Output(kind.limit, reasoning_effort=ReasoningEffort.HIGH)
    elif "json_schema" in kind.needs:
        schema = '{"type":"object"}'
        output = Output(
            kind.limit,
            response_format=ResponseFormat.JSON_SCHEMA,
            response_schema_json=schema,
        )
    tools = (Tool("find"),) if "tools" in kind.needs else ()
    message = Message(Role.USER, (text, *image))
    return GenerationRequest("chat", (message,), output=output, tools=tools)


def places(
    models: Mapping[str, tuple[str, ...]] = MAIN, *, cached_share: float = 0.0
) -> list[Place]:
    """The targets, with the prices and capabilities that the gateway would find."""
    book = GenaiPriceBook({}, clock=AS_OF.timestamp)
    found = []
    for vendor, names in models.items():
        urls = (preset.base_url for preset in PRESETS.values() if preset.vendor == vendor)
        url = next(urls, "")
        for name in names:
            prices = book.prices_of(vendor, url, name)
            candidate = Candidate(Target(vendor, name), prices=prices, cached_share=cached_share)
            found.append(Place(candidate, capabilities_of(vendor, name)))
    return found


def whole_table() -> dict[str, tuple[str, ...]]:
    """Every model that the capability table names and that generates."""
    return {
        vendor: tuple(
            name
            for row in table.read(vendor)["rows"]
            if not row.get("embeddings")
            for name in row.get("models", ())
        )
        for vendor in sorted(table.vendors())
    }


def fits(place: Place, kind: Kind, *, strict: bool) -> bool:
    """Whether the target takes such requests, their length aside.

    The gateway sends a request where nothing known speaks against it. Here, unless `strict` is
    False, it must also be known that the target can do what the request needs.
    """
    try:
        fit(request_of(kind), place.capabilities, Unsupported.REJECT)
    except GatewayError:
        return False
    known = place.capabilities
    return not strict or all(getattr(known, need) for need in ("context_window", *kind.needs))


def served(place: Place, asks: Sequence[Ask], *, strict: bool = True) -> list[bool]:
    """Of every request whether the target can serve it."""
    kinds = {ask.kind.name: ask.kind for ask in asks}
    takes = {name: fits(place, kind, strict=strict) for name, kind in kinds.items()}
    window = place.capabilities.context_window or math.inf
    return [
        takes[ask.kind.name] and ask.usage.input_token_count + ask.kind.limit <= window
        for ask in asks
    ]


def bill(prices: Prices | None, asks: Iterable[Ask]) -> int | None:
    """What the requests cost at these prices; None where one is not known."""
    costs = [prices.cost(ask.usage) if prices is not None else None for ask in asks]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def compare(asks: Sequence[Ask], over: Sequence[Place], *, strict: bool = True) -> Comparison:
    """The strategy over all targets, beside the cheapest that can serve the whole mix alone."""
    can = [served(place, asks, strict=strict) for place in over]
    singles = []
    for place, able in zip(over, can, strict=True):
        cost = bill(place.candidate.prices, asks)
        if cost is not None and all(able):
            singles.append((cost, place.name, place))
    single_cost, _, single = min(singles)
    # A route does not know how long an answer will be, but how long its answers usually are.
    usual = round(sum(ask.usage.output_token_count for ask in asks) / len(asks))
    by_target = {place.candidate.target: place for place in over}
    strategy, choices = Cost(), []
    for number, ask in enumerate(asks):
        asked = [place.candidate for place, able in zip(over, can, strict=True) if able[number]]
        work = Work(ask.usage.input_token_count, min(usual, ask.kind.limit))
        chosen = by_target[strategy.order(asked, work)[0].target]
        cost = bill(chosen.candidate.prices, (ask,))
        if cost is None:
            raise AssertionError(f"{chosen.name} was asked first, and has no known price")
        choices.append(Choice(ask, chosen, cost))
    return Comparison(single, single_cost, tuple(choices))


def print_mix() -> None:
    """What is asked."""
    print(f"The mix: {sum(kind.count for kind in MIX):,} requests, drawn with seed {SEED}\n")
    print("| requests | class | input tokens | output tokens | max_output_tokens |")
    print("|---:|---|---:|---:|---:|")
    for kind in MIX:
        (low, high), (least, most) = kind.input_tokens, kind.output_tokens
        print(
            f"| {kind.count} | {kind.name} | {low:,}-{high:,} | {least:,}-{most:,} "
            f"| {kind.limit:,} |"
        )


def print_singles(asks: Sequence[Ask], over: Sequence[Place]) -> None:
    """Every target alone, the cheapest first."""
    print("\nEach target alone (USD; prices for a million tokens, below the first tier)\n")
    print("| target | input | output | cannot serve, as far as is known | the whole mix |")
    print("|---|---:|---:|---|---:|")
    rows = []
    for place in over:
        able = served(place, asks)
        missed = Counter(ask.kind.name for ask, can in zip(asks, able, strict=True) if not can)
        prices = place.candidate.prices or Prices()
        cost = bill(place.candidate.prices, asks)
        words = ", ".join(f"{count} {name}" for name, count in missed.items()) or "-"
        whole = "no price" if cost is None else "-" if missed else f"{cost / 1e9:.3f}"
        rates = f"{_dollars(prices.input)} | {_dollars(prices.output)}"
        key = (bool(missed), cost is None, cost or 0)
        rows.append((key, f"| {place.name} | {rates} | {words} | {whole} |"))
    for _, row in sorted(rows):
        print(row)


def _dollars(rate: int | None) -> str:
    return "?" if rate is None else f"{rate / 1e9:g}"


def print_choices(found: Comparison) -> None:
    """Where the strategy sent what, and what that cost."""
    print(f"\nThe cost strategy over all {len(MAIN)} vendors (USD)\n")
    print(f"| class | asked first | cost | at {found.single.name} |")
    print("|---|---|---:|---:|")
    for kind in MIX:
        mine = [choice for choice in found.choices if choice.ask.kind is kind]
        cost = sum(choice.cost for choice in mine) / 1e9
        alone = (bill(found.single.candidate.prices, [c.ask for c in mine]) or 0) / 1e9
        counts = Counter(choice.place.name for choice in mine).most_common()
        words = ", ".join(f"{count} {name}" for name, count in counts)
        print(f"| {kind.name} | {words} | {cost:.3f} | {alone:.3f} |")
    print(f"| **all** | | **{found.cost / 1e9:.3f}** | **{found.single_cost / 1e9:.3f}** |")


def print_variations(asks: Sequence[Ask], over: Sequence[Place], found: Comparison) -> None:
    """How much hangs on the choices made above."""
    print("\nThe same under other assumptions\n")
    print("| | cheapest single target | saving |")
    print("|---|---|---:|")
    # Without one that is never chosen, nothing would change.
    chosen = {choice.place.name: choice.place for choice in found.choices}.values()
    without = [compare(asks, [p for p in over if p is not place]) for place in chosen]
    _print_saving("without one of the targets: the worst case", min(without, key=_saving))
    fewer = [compare([a for a in asks if a.kind is not kind], over) for kind in MIX]
    _print_saving("without one of the classes: the worst case", min(fewer, key=_saving))
    for share in (0.2, 0.5):
        cached = compare(draw(cached_share=share), places(cached_share=share))
        _print_saving(f"{share:.0%} of every prompt from the provider's cache", cached)
    unsure = compare(asks, over, strict=False)
    _print_saving("what is not known of a target counts as able", unsure)
    every = [place for place in places(whole_table()) if place.candidate.prices is not None]
    words = f"all {len(every)} models of the table that have a price, old ones too"
    _print_saving(words, compare(asks, every))


def _saving(found: Comparison) -> float:
    return found.saving


def _print_saving(words: str, found: Comparison) -> None:
    print(f"| {words} | {found.single.name} | {found.saving:.1%} |")


def verdict(found: Comparison, wanted: float = WANTED) -> int:
    """The result in a sentence; the exit code is 1 where less is saved than is wanted."""
    print(
        f"\nThe cost strategy is {found.saving:.1%} cheaper than {found.single.name}, the "
        f"cheapest target that can serve the whole mix alone (wanted: {wanted:.0%})."
    )
    return 0 if found.saving >= wanted else 1


def main() -> int:
    """Prints the comparison."""
    asks, over = draw(), places()
    found = compare(asks, over)
    print(f"Prices of genai-prices {version('genai-prices')} on {AS_OF:%d %B %Y}.")
    print("Compared is the bill for the same tokens everywhere. Quality is not compared.\n")
    print_mix()
    print_singles(asks, over)
    print_choices(found)
    print_variations(asks, over, found)
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
