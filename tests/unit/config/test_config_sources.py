"""Where a configuration comes from: a file, a named file, variables over it, variables alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmgateway_server.config import (
    ConfigErrors,
    Dialects,
    NothingConfigured,
    load_config,
    load_mapping,
    load_text,
)
from support.strategies import STRATEGIES

ErrorsOf = Callable[..., list[str]]

FILE = """\
server: {listen: 127.0.0.1:1}
providers:
  my-local.8b: {dialect: plain, base_url: http://x}
"""


def test_openais_key_alone_is_enough() -> None:
    loaded = load_config(
        None, {"OPENAI_API_KEY": "sk-1"}, dialects={"openai_chat": None}, strategies=STRATEGIES
    )
    provider = loaded.config.providers["openai"]
    assert (provider.dialect, provider.base_url) == ("openai_chat", "https://api.openai.com/v1")
    assert provider.models is None
    assert loaded.api_keys["openai"].reveal() == "sk-1"
    assert loaded.source == "environment"


def test_openais_base_url_alone_is_enough_too() -> None:
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1/"}
    loaded = load_config(None, environ, dialects={"openai_chat": None}, strategies=STRATEGIES)
    assert loaded.config.providers["openai"].base_url == "http://127.0.0.1:8080/v1"
    assert loaded.api_keys == {}


def test_each_vendor_whose_dialect_is_installed_appears() -> None:
    environ = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "GEMINI_API_KEY": "c"}
    loaded = load_config(
        None, environ, dialects={"anthropic": None, "gemini": None}, strategies=STRATEGIES
    )
    assert {name: key.reveal() for name, key in loaded.api_keys.items()} == {
        "anthropic": "b",
        "gemini": "c",
    }
    assert {name: provider.base_url for name, provider in loaded.config.providers.items()} == {
        "anthropic": "https://api.anthropic.com",
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
    }


def test_a_wrong_well_known_variable_is_named() -> None:
    with pytest.raises(ConfigErrors) as raised:
        load_config(
            None,
            {"OPENAI_BASE_URL": "localhost"},
            dialects={"openai_chat": None},
            strategies=STRATEGIES,
        )
    assert str(raised.value).startswith("OPENAI_BASE_URL: providers.openai.base_url: expected an")


def test_nothing_at_all_names_the_three_ways_on() -> None:
    with pytest.raises(NothingConfigured) as raised:
        load_config(
            None, {"OPENAI_API_KEY": ""}, dialects={"openai_chat": None}, strategies=STRATEGIES
        )
    text = str(raised.value)
    assert "export OPENAI_API_KEY=" in text
    assert "llmgateway-server config example > gateway.yaml" in text
    assert "llmgateway-server serve --demo" in text


def test_a_key_whose_dialect_is_missing_is_mentioned() -> None:
    with pytest.raises(NothingConfigured, match=r"\(GEMINI_API_KEY: its dialect is not installed"):
        load_config(
            None, {"GEMINI_API_KEY": "x"}, dialects={"openai_chat": None}, strategies=STRATEGIES
        )


def test_a_variable_names_the_file_and_an_argument_goes_before_it(
    dialects: Dialects, tmp_path: Path
) -> None:
    named, given = tmp_path / "named.yaml", tmp_path / "given.yaml"
    for path in (named, given):
        path.write_text(FILE)
    environ = {"LLMGATEWAY_CONFIG": str(named), "OPENAI_API_KEY": "unused"}
    assert load_config(None, environ, dialects=dialects, strategies=STRATEGIES).source == str(named)
    assert load_config(given, environ, dialects=dialects, strategies=STRATEGIES).source == str(
        given
    )


def test_a_variable_overrides_one_key(dialects: Dialects) -> None:
    environ = {
        "LLMGATEWAY__SERVER__LISTEN": "127.0.0.1:2",
        "LLMGATEWAY__SERVER__REFLECTION": "false",
        "LLMGATEWAY__PROVIDERS__MY_LOCAL_8B__POOL__CONNECTIONS": "7",
        "LLMGATEWAY__ROUTES__CHAT__TARGETS": "my-local.8b/m",
    }
    config = load_text(
        FILE, environ, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    ).config
    assert config.server.listen == ("127.0.0.1:2",)
    assert config.server.reflection is False
    assert config.providers["my-local.8b"].pool.connections == 7
    assert config.routes["chat"].targets[0].model == "my-local.8b/m"


def test_a_whole_configuration_can_come_from_variables(dialects: Dialects) -> None:
    environ = {
        "LLMGATEWAY__PROVIDERS__LOCAL__DIALECT": "plain",
        "LLMGATEWAY__PROVIDERS__LOCAL__BASE_URL": "http://x",
    }
    assert list(
        load_config(None, environ, dialects=dialects, strategies=STRATEGIES).config.providers
    ) == ["local"]


@pytest.mark.parametrize(
    ("variable", "value", "error"),
    [
        (
            "SERVER__LISTN",
            "x",
            'server.listn: unknown key; did you mean "listen"?'
            " (known: drain, health_check, insecure, limits, listen, reflection, tls)",
        ),
        (
            "SERVR__LISTEN",
            "x",
            'servr: unknown key; did you mean "server"?'
            " (known: cache, default_route, providers, routes, server)",
        ),
        (
            "SERVER__LISTEN__PORT",
            "1",
            "server.listen: the key holds no mapping, so a variable cannot set one below it",
        ),
        ("SERVER__INSECURE", "yes", 'server.insecure: expected true or false, got "yes"'),
        ("SERVER__DRAIN__GRACE", "\udcff", "server.drain.grace: expected a duration such as"),
        (
            "PROVIDERS__MY_LOCAL_8B__API_KEY",
            "hunter2",
            'providers."my-local.8b".api_key: expected env:NAME or file:PATH; a literal secret',
        ),
        ("", "x", '"": unknown key (known: cache, default_route, providers, routes, server)'),
    ],
)
def test_a_wrong_override_names_its_variable(
    errors_of: ErrorsOf, variable: str, value: str, error: str
) -> None:
    (line,) = errors_of(FILE, {f"LLMGATEWAY__{variable}": value})
    assert line.startswith(f"LLMGATEWAY__{variable}: {error}")


def test_a_configuration_made_by_the_program_is_checked_and_overridden_alike(
    dialects: Dialects,
) -> None:
    tree = {"providers": {"demo": {"dialect": "plain", "base_url": "http://127.0.0.1:1/v1"}}}
    environ = {"LLMGATEWAY__SERVER__LISTEN": "127.0.0.1:3"}
    loaded = load_mapping(tree, environ, dialects=dialects, strategies=STRATEGIES, source="--demo")
    assert loaded.config.server.listen == ("127.0.0.1:3",)
    assert "server" not in tree
    with pytest.raises(ConfigErrors, match=r"^--demo: provider: unknown key"):
        load_mapping(
            tree | {"provider": {}}, {}, dialects=dialects, strategies=STRATEGIES, source="--demo"
        )


def test_the_version_follows_the_effective_configuration_and_not_its_secrets(
    dialects: Dialects,
) -> None:
    def version(listen: str, key: str) -> str:
        text = FILE.replace("base_url", "api_key: env:KEY, base_url")
        environ = {"KEY": key, "LLMGATEWAY__SERVER__LISTEN": listen}
        return load_text(
            text,
            environ,
            dialects=dialects,
            strategies=STRATEGIES,
            source="g.yaml",
            directory=Path(),
        ).version

    assert version("127.0.0.1:1", "a") == version("127.0.0.1:1", "b")
    assert version("127.0.0.1:1", "a") != version("127.0.0.1:2", "a")
    assert len(version("127.0.0.1:1", "a")) == 12
