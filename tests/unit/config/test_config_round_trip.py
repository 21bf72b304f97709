"""What may be said of how calls survive loads and reads back as it was; the rest is refused."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.config import (
    ConfigError,
    ConfigErrors,
    Dialects,
    LoadedConfig,
    check_text,
    load_mapping,
    load_text,
    schema_json,
)
from support.json_schema import accepts
from support.strategies import STRATEGIES

Some = st.SearchStrategy[Any]

DIALECTS: Dialects = {"plain": None}
SCHEMA = json.loads(schema_json(DIALECTS, STRATEGIES))
COUNTS = st.integers(1, 2**31 - 1)
FRACTIONS = st.floats(0, 1, exclude_min=True)
MODELS = ("p/a", "p/b", "q/m", "q/vendor/n")


def durations(least: int, most: int) -> st.SearchStrategy[str]:
    """Durations of so many milliseconds."""
    return st.integers(least, most).map(
        lambda count: f"{count // 1000}s{count % 1000}ms" if count >= 1000 else f"{count}ms"
    )


def keys(**optional: Some) -> Some:
    """A mapping with any of the keys."""
    return st.fixed_dictionaries({}, optional=optional)


DURATIONS = durations(1, 9_000_000)
LATER = durations(0, 9_000_000)
TIMEOUTS = keys(
    connect=DURATIONS,
    pool=DURATIONS,
    first_content=DURATIONS,
    idle_bytes=DURATIONS,
    idle_content=DURATIONS,
)
PROVIDER = keys(
    timeouts=TIMEOUTS,
    limits=st.none() | keys(in_flight=COUNTS, requests_per_minute=COUNTS, tokens_per_minute=COUNTS),
    breaker=st.none()
    | keys(
        window=DURATIONS,
        minimum_calls=COUNTS,
        failures=FRACTIONS,
        slow=FRACTIONS,
        consecutive=COUNTS,
        open=durations(1, 30_000),
        longest_open=durations(30_000, 90_000),
        ramp=LATER,
    ),
)


@st.composite
def targets(draw: st.DrawFn) -> Any:
    """A route's targets: each once, as a name or a mapping; a single one also without a list."""
    names = draw(st.lists(st.sampled_from(MODELS), min_size=1, unique=True))
    weights = st.floats(0.001, 1_000_000) | st.integers(1, 1_000_000)
    found = [
        draw(
            st.just(name)
            | st.fixed_dictionaries(
                {"model": st.just(name)}, optional={"weight": weights, "timeouts": TIMEOUTS}
            )
        )
        for name in names
    ]
    return found[0] if len(found) == 1 and draw(st.booleans()) else found


ROUTE = st.fixed_dictionaries(
    {"targets": targets()},
    optional={
        "strategy": st.sampled_from(STRATEGIES),
        "recovery": st.sampled_from(["none", "continue"]),
        "retry": st.none() | keys(attempts=st.integers(1, 3), patience=LATER),
        "hedge": st.none()
        | keys(
            after=st.just("p95") | DURATIONS,
            budget=FRACTIONS,
            max_cost_usd=st.floats(0, 1_000_000),
        ),
        "cache": st.fixed_dictionaries(
            {"ttl": DURATIONS}, optional={"include_sampled": st.booleans()}
        ),
        "blocked_content": st.sampled_from(MODELS),
        "timeouts": TIMEOUTS,
        "unsupported": st.sampled_from(["reject", "drop"]),
    },
)
TREES = st.fixed_dictionaries(
    {
        "providers": st.fixed_dictionaries({"p": PROVIDER, "q": PROVIDER}),
        "routes": st.dictionaries(st.sampled_from(["chat", "draft"]), ROUTE),
    },
    optional={
        "server": keys(
            limits=st.none()
            | keys(in_flight=COUNTS, queue=durations(0, 100), adaptive=st.booleans()),
            health_check=st.just("off") | DURATIONS,
        ),
        "cache": st.none()
        | keys(
            max_bytes=st.builds(
                "{}{}".format, st.integers(1, 999_999), st.sampled_from(["KiB", "MiB", "GiB"])
            )
        ),
    },
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["off", "p95", "0s", "5s", "1h", "restart", "z/m", "q/o", "0KiB", [], {}])
)


def load(tree: dict[str, Any]) -> LoadedConfig:
    for provider in tree["providers"].values() if isinstance(tree["providers"], dict) else ():
        if isinstance(provider, dict):
            provider.update(dialect="plain", base_url="http://x")
    return load_mapping(tree, {}, dialects=DIALECTS, strategies=STRATEGIES, source="test")


def written(value: Any) -> Any:
    """A dumped configuration as a file would say it: what is null there is left out here."""
    if isinstance(value, dict):
        return {key: written(inner) for key, inner in value.items() if inner is not None}
    return [written(inner) for inner in value] if isinstance(value, list) else value


@given(tree=TREES)
def test_all_that_may_be_said_loads_and_reads_back_as_it_was(tree: dict[str, Any]) -> None:
    loaded = load(tree)
    again = load(written(json.loads(loaded.config.model_dump_json())))
    assert again.config == loaded.config
    assert again.version == loaded.version
    assert accepts(SCHEMA, SCHEMA, tree)
    assert check_text(again) == check_text(loaded)
    for name in loaded.config.routes:
        entry = loaded.config.route_entry(name)
        assert again.config.route_entry(name) == entry
        said = tree["routes"][name]
        count = len(said["targets"]) if isinstance(said["targets"], list) else 1
        assert len(entry.targets) == count
        assert (entry.hedge is not None) is ("hedge" in said)
        assert (entry.cache is not None) is ("cache" in said)
        assert f"{name} -> " in check_text(loaded)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in the tree."""
    steps = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    return [
        found for step in steps for found in ((*path, step), *places(tree[step], (*path, step)))
    ]


@given(tree=TREES, data=st.data())
def test_what_is_wrong_in_one_place_is_told_of_its_section_alone(
    tree: dict[str, Any], data: st.DataObject
) -> None:
    changed = data.draw(st.sampled_from(places(tree)))
    node: Any = tree
    for step in changed[:-1]:
        node = node[step]
    node[changed[-1]] = data.draw(LEAVES)
    errors: tuple[ConfigError, ...] = ()
    try:
        assert check_text(load(tree))
    except ConfigErrors as refused:
        errors = refused.errors
    for error in errors:
        common = min(2, len(error.path), len(changed))
        assert error.path[:common] == changed[:common]
        assert common


@given(
    section=st.sampled_from(["limits", "breaker", "targets", "retry", "hedge", "cache"]),
    text=st.text(alphabet="{}[]:,'\" \n0123456789abcehilmnoprstuy_%./", max_size=30),
)
def test_any_text_in_a_section_is_read_or_refused(section: str, text: str) -> None:
    holder = "  q:" if section in {"limits", "breaker"} else "routes:\n  r:"
    environ = {
        "LLMGATEWAY__PROVIDERS__Q__DIALECT": "plain",
        "LLMGATEWAY__PROVIDERS__Q__BASE_URL": "http://x",
        "LLMGATEWAY__ROUTES__OTHER__TARGETS": "q/m",
    }
    try:
        loaded = load_text(
            f"providers:\n{holder}\n    {section}: {text}\n",
            environ,
            dialects=DIALECTS,
            strategies=STRATEGIES,
            source="g.yaml",
            directory=Path(),
        )
    except ConfigErrors:
        return
    assert check_text(loaded)
