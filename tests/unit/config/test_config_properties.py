"""Whatever is written, what comes back is a configuration or ConfigErrors, and never a secret."""

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from llmgateway_server.config import (
    ConfigErrors,
    check_text,
    example_yaml,
    load_text,
)
from support.strategies import STRATEGIES


class Options(BaseModel):
    organization: str | None = None


DIALECTS = {"openai_chat": Options}
ENVIRON = {"OPENAI_API_KEY": "sk-resolved-canary"}
KEYS = re.findall(
    r"\S+",
    "server listen tls certificate key client_ca insecure reflection drain pause grace providers "
    "openai dialect base_url api_key timeouts connect pool connections idle models gpt-5 "
    "display_name organization default_route routes chat targets model << preset capabilities "
    "efforts refused max_output unsupported limits in_flight queue adaptive requests_per_minute "
    "tokens_per_minute health_check breaker window minimum_calls failures slow consecutive open "
    "longest_open ramp strategy weight recovery retry attempts patience hedge after budget "
    "max_cost_usd cache ttl include_sampled blocked_content first_content max_bytes",
)
LINES = (*example_yaml().splitlines(), "providers:", "  x: *a", "  - &a [*a]", "? !!int a", "'\"\\")


def outcome(text: str, environ: dict[str, str] = ENVIRON, source: str = "g.yaml") -> str:
    """Everything that the outcome would let a person see."""
    try:
        loaded = load_text(
            text, environ, dialects=DIALECTS, strategies=STRATEGIES, source=source, directory=Path()
        )
    except ConfigErrors as error:
        refused = error
    else:
        return check_text(loaded) + repr(loaded)
    assert len(str(refused).splitlines()) == len(refused.errors) > 0
    assert str(refused).encode()
    return str(refused) + repr(refused)


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(KEYS) | st.text(max_size=8)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
        max_leaves=20,
    )


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            *("5s", "env:OPENAI_API_KEY", "http://x/v1", "openai_chat", "openai/m", "chat"),
            *("openai", "azure", "low", "sampling.seed", "drop"),
            *("off", "p95", "64MiB", "none", "cost", 0.5, 1, 3),
        ]
    )
)


@given(text=st.text(), toml=st.booleans())
def test_any_text_is_read_or_refused(text: str, toml: bool) -> None:
    outcome(text, source="g.toml" if toml else "g.yaml")


@given(tree=trees(LEAVES))
def test_any_tree_is_read_or_refused(tree: Any) -> None:
    outcome(json.dumps(tree))


@given(data=st.data())
def test_the_example_with_lines_changed_is_read_or_refused(data: st.DataObject) -> None:
    lines = example_yaml().splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["drop", "double", "replace", "indent", "cut"]))
        match kind:
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "indent":
                lines[at] = " " * data.draw(st.integers(1, 5)) + lines[at].lstrip()
            case "cut":
                lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))]
            case _:
                lines[at] = data.draw(st.sampled_from(LINES))
    assert "canary" not in outcome("\n".join(lines))


@given(path=st.lists(st.sampled_from(KEYS), min_size=1, max_size=5), value=st.text(max_size=8))
def test_any_variable_overrides_or_is_refused(path: list[str], value: str) -> None:
    variable = "LLMGATEWAY__" + "__".join(path).upper().replace("-", "_")
    outcome(example_yaml(), {**ENVIRON, variable: value})


@given(
    secret=st.from_regex(
        r"[A-Za-z0-9!*&%@#?:/+=._-]{0,12}canary[A-Za-z0-9!*&%@#?:/+=._-]{0,12}", fullmatch=True
    ),
    written=st.sampled_from(["{}", "'{}'", '"{}"', "[{}]", "{{v: {}}}", "&a {}", "! {}"]),
    key=st.sampled_from(
        ["api_key", "api_kye: x\n    api_key", "access_token", "api_key: env:A\n    api_key"]
    ),
)
def test_a_literal_key_is_in_no_error(secret: str, written: str, key: str) -> None:
    text = example_yaml().replace("api_key: env:OPENAI_API_KEY", f"{key}: {written.format(secret)}")
    assert "canary" not in outcome(text)


@given(
    secret=st.from_regex(r"(sk-|AIza)[A-Za-z0-9_-]{4,12}canary[A-Za-z0-9_-]{0,9}", fullmatch=True),
    line=st.sampled_from(
        ["{}: x", "{}", "server: {}", "server: {{listen: {}}}", "server: {{{}: 1}}", "routes: [{}]",
         "default_route: {}", "providers: {{p: {{dialect: {}}}}}", "providers: {{{}: {{}}}}",
         "routes: {{a: {{targets: {}/m}}}}", "routes: {{a: {{targets: openai/{}, timeouts: {}}}}}",
         "providers: {{p: {{dialect: openai_chat, base_url: 'http://u:{}@x'}}}}",
         "providers: {{p: {{dialect: openai_chat, base_url: 'http://x?key={}'}}}}",
         "providers: {{p: {{dialect: openai_chat, base_url: {}}}}}",
         "providers: {{p: {{preset: {}}}}}",
         "providers: {{p: {{preset: openai, models: {{m: {{capabilities: {{refused: {}}}}}}}}}}}",
         "providers: {{p: {{dialect: openai_chat, base_url: http://x, api_key: env:{}}}}}",
         "providers: {{p: {{dialect: openai_chat, base_url: http://x, api_key: 'file:{}'}}}}"]
    ),
    toml=st.booleans(),
)  # fmt: skip
def test_what_looks_like_a_key_is_in_no_error_wherever_it_was_pasted(
    secret: str, line: str, toml: bool
) -> None:
    text = line.format(*[secret] * line.count("{}"))
    source = "g.toml" if toml else "g.yaml"
    assert "canary" not in outcome(text.replace(": ", " = ") if toml else text, source=source)
