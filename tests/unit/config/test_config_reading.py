"""The two forms of the file: their traps, their bounds, and where errors point."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmgateway_server.config import ConfigErrors, Dialects, load_config, load_text
from support.strategies import STRATEGIES

ErrorsOf = Callable[..., list[str]]

TOO_MUCH = "more than 10,000 values (aliases expanded) or 64 levels"
BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (BOMB, f"1:26: not valid YAML: {TOO_MUCH}"),
        ("a: &a [*a]", f"1:4: not valid YAML: {TOO_MUCH}"),
        ("[" * 100_000, f"1:66: not valid YAML: {TOO_MUCH}"),
        (
            "".join(f"k{n}:\n" for n in range(20_000)),
            f"5000:7: not valid YAML: {TOO_MUCH}",
        ),
        ("a: !!python/name:os.system x", "1:4: not valid YAML: tags are not supported"),
        (
            "a: 1\n---\nb: 2",
            "2:1: not valid YAML: expected a single document in the stream,"
            " but found another document",
        ),
        (
            'a: "x',
            "1:6: not valid YAML: while scanning a quoted scalar, found unexpected end of stream",
        ),
        ("a: b: c", "1:5: not valid YAML: mapping values are not allowed here"),
        ("a: *hunter2", "1:4: not valid YAML: found undefined alias '…'"),
        ("a:\n  - \0", "2:5: not valid YAML: the character U+0000 is not allowed"),
        ('a: "\\UFFFFFFFF"', "1:7: not valid YAML: an escape or a number is out of range"),
        ('a: "\\ud800"', "1:4: not valid YAML: half a surrogate pair is not text"),
        ("? [a]\n: b", "1:3: not valid YAML: a key must be text"),
        ("- a", "1:1: expected keys such as `providers:` at the top of the file"),
        (
            "# nothing",
            " the file is empty; `llmgateway-server config example` prints one to start from",
        ),
    ],
    ids=lambda value: value[:12],
)
def test_a_file_that_is_no_yaml_mapping_is_refused_at_the_place(
    errors_of: ErrorsOf, text: str, error: str
) -> None:
    assert errors_of(text) == [f"gateway.yaml:{error}"]


def test_a_key_set_twice_is_shown_at_both_places(errors_of: ErrorsOf) -> None:
    text = """\
providers:
  local: {dialect: plain, base_url: http://x}
  local: {dialect: plain, base_url: http://y}
"""
    assert errors_of(text) == [
        "gateway.yaml:3:3: providers.local: the key is set twice, first at line 2, column 3;"
        " remove one"
    ]


def test_merge_keys_are_refused_and_an_alias_of_a_whole_value_is_not(
    errors_of: ErrorsOf, dialects: Dialects
) -> None:
    text = """\
providers:
  a: &a {dialect: plain, base_url: http://x}
  b: *a
"""
    loaded = load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    )
    assert loaded.config.providers["a"] == loaded.config.providers["b"]
    assert errors_of(text + "  c: {<<: *a, dialect: plain, base_url: http://y}") == [
        'gateway.yaml:4:7: providers.c."<<": merge keys are not supported; repeat the keys'
    ]


@pytest.mark.parametrize("text", ["no", "on", "2024-10-21", "1:30", "1e3", "0x1F", "'5'", ".inf"])
def test_text_that_old_yaml_would_turn_into_something_else_stays_text(
    dialects: Dialects, text: str
) -> None:
    file = f"providers: {{p: {{dialect: acme, base_url: http://x, organization: {text}}}}}"
    loaded = load_text(
        file, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    )
    options = loaded.config.providers["p"].options
    assert options is not None
    assert options.model_dump()["organization"] == text.strip("'")


def test_a_key_is_text_whatever_it_looks_like(dialects: Dialects) -> None:
    file = "providers: {p: {dialect: plain, base_url: http://x, models: {4.1: , true: , 010: }}}"
    loaded = load_text(
        file, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    )
    assert list(loaded.config.providers["p"].models or ()) == ["4.1", "true", "010"]


TOML = """\
default_route = "chat"

[server]
listen = ["127.0.0.1:1", "unix:/run/gateway.sock"]
drain.grace = "1m"

[providers.local]
dialect = "acme"
base_url = "http://x/v1/"

[providers.local.models."gpt-4.1"]
display_name = "GPT"

[routes.chat]
targets = ["local/gpt-4.1"]
"""


def test_toml_holds_the_same_keys(dialects: Dialects) -> None:
    loaded = load_text(
        TOML, {}, dialects=dialects, strategies=STRATEGIES, source="gateway.toml", directory=Path()
    )
    assert loaded.config.server.listen == ("127.0.0.1:1", "unix:/run/gateway.sock")
    assert loaded.config.server.drain.grace == 60
    assert loaded.config.providers["local"].base_url == "http://x/v1"
    assert loaded.config.routes["chat"].targets[0].model == "local/gpt-4.1"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        (
            'grace = "1m"',
            "grace = 1979-05-27",
            "5: server.drain.grace: expected a duration such as 250ms, 5s, 1m30s or 2h,"
            " got date 1979-05-27",
        ),
        (
            'dialect = "acme"',
            f"dialect = 0x{'f' * 9000}",
            "8: providers.local.dialect: expected text, got a huge number",
        ),
        (
            "display_name",
            "display",
            '12: providers.local.models."gpt-4.1".display: unknown key;'
            ' did you mean "display_name"? (known: capabilities, display_name, prices, streaming)',
        ),
        (
            "default_route",
            "default-route",
            '1: default-route: unknown key; did you mean "default_route"?'
            " (known: cache, default_route, providers, routes, server)",
        ),
        ('"chat"\n', "chat\n", "1:17: not valid TOML: Invalid value"),
        ('"local/gpt-4.1"]', '"""', " not valid TOML: Unterminated string"),
        ('"chat"', "[" * 9_000, f" not valid TOML: {TOO_MUCH}"),
        ('"chat"', "[" * 90 + "]" * 90, f" not valid TOML: {TOO_MUCH}"),
        ("default_route", "a" + ".a" * 300, " not valid TOML: a line with more than 200 dots"),
    ],
)
def test_an_error_in_toml_names_the_line(
    errors_of: ErrorsOf, old: str, new: str, error: str
) -> None:
    assert old in TOML
    assert errors_of(TOML.replace(old, new), source="gateway.toml") == [f"gateway.toml:{error}"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, ": cannot read the file: No such file or directory"),
        (b"", ": the file is empty; `llmgateway-server config example` prints one to start from"),
        (b"a: 1\nb: \xff", ":2: the file is not UTF-8 text"),
        (b"#" * ((1 << 20) + 1), ": the file is larger than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    dialects: Dialects, tmp_path: Path, content: bytes | None, error: str
) -> None:
    path = tmp_path / "gateway.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigErrors) as raised:
        load_config(path, {}, dialects=dialects, strategies=STRATEGIES)
    assert str(raised.value) == f"{path}{error}"


def test_a_directory_is_no_file(dialects: Dialects, tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="cannot read the file: Is a directory"):
        load_config(tmp_path, {}, dialects=dialects, strategies=STRATEGIES)


def test_a_byte_order_mark_is_skipped(dialects: Dialects, tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("providers: {p: {dialect: plain, base_url: http://x}}", "utf-8-sig")
    assert list(
        load_config(path, {}, dialects=dialects, strategies=STRATEGIES).config.providers
    ) == ["p"]
