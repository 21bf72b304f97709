"""A preset fills in what a provider does not say, and sends a key only where it belongs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmgateway_server import bootstrap, models
from llmgateway_server.config import (
    PRESETS,
    Dialects,
    LoadedConfig,
    ProviderConfig,
    load_text,
    schema_json,
)
from llmgateway_server.models.table import vendors
from llmgateway_server.providers.dialect import installed_dialects
from support.strategies import STRATEGIES

ErrorsOf = Callable[..., list[str]]

KNOWN = ", ".join(sorted(PRESETS))


@pytest.fixture
def installed() -> Dialects:
    """The dialects as they are installed, and those that are to be."""
    absent = dict.fromkeys(preset.dialect for preset in PRESETS.values())
    return {**absent, **bootstrap.option_models(installed_dialects())}


def load(text: str, dialects: Dialects, environ: Mapping[str, str] | None = None) -> LoadedConfig:
    return load_text(
        text,
        environ or {},
        dialects=dialects,
        strategies=STRATEGIES,
        source="g.yaml",
        directory=Path(),
    )


def provider(text: str, dialects: Dialects, environ: Mapping[str, str]) -> ProviderConfig:
    return load(f"providers: {{p: {{{text}}}}}", dialects, environ).config.providers["p"]


def test_a_preset_alone_is_a_whole_provider(installed: Dialects) -> None:
    loaded = load("providers: {fast: {preset: groq}}", installed, {"GROQ_API_KEY": "k"})
    fast = loaded.config.providers["fast"]
    assert (fast.dialect, fast.base_url) == ("openai_chat", "https://api.groq.com/openai/v1")
    assert loaded.api_keys["fast"].reveal() == "k"
    assert fast.vendor == "groq"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads_with_options_that_its_dialect_knows(
    installed: Dialects, name: str
) -> None:
    preset = PRESETS[name]
    address = f", base_url: '{preset.url_form}'" if preset.url_form else ""
    found = provider(f"preset: {name}{address}", installed, {preset.key: "k"})
    options = found.options.model_dump() if found.options is not None else {}
    if installed[preset.dialect] is not None:
        assert {key: options[key] for key in preset.options} == preset.options
    assert (found.api_key or "") == (f"env:{preset.key}" if preset.key else "")
    assert found.vendor == preset.vendor
    # Everyone's own servers are known for what they do, and bill nobody.
    own = {"llamacpp", "ollama", "vllm"}
    assert bool(found.vendor) == (bool(preset.key) or name in own)


def test_every_vendor_of_the_table_has_a_preset() -> None:
    assert vendors() <= {preset.vendor for preset in PRESETS.values()}
    azure = PRESETS["azure"].vendor
    assert models.capabilities_of(azure, "gpt-5") == models.capabilities_of("openai", "gpt-5")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dialect: plain", {"dialect": "plain"}),
        ("base_url: https://api.groq.com/v2", {"base_url": "https://api.groq.com/v2"}),
        ("api_key: env:MINE", {"api_key": "env:MINE"}),
        ("api_key: ", {"api_key": None}),
    ],
)
def test_what_is_said_wins_over_the_preset(
    installed: Dialects, text: str, expected: dict[str, Any]
) -> None:
    environ = {"GROQ_API_KEY": "k", "MINE": "m"}
    found = provider(f"preset: groq, {text}", {**installed, "plain": None}, environ)
    assert found.model_dump(include=set(expected)) == expected


def test_an_option_that_is_said_wins_and_the_others_are_filled_in(installed: Dialects) -> None:
    text = "preset: azure, base_url: https://r.openai.azure.com/openai, api_version: preview"
    found = provider(text, installed, {"AZURE_OPENAI_API_KEY": "k"})
    assert found.options is not None
    options = found.options.model_dump()
    assert (options["auth"], options["api_version"]) == ("api-key", "preview")


def test_options_follow_a_preset_to_another_dialect_as_far_as_that_has_them(
    dialects: Dialects,
) -> None:
    text = "preset: mistral, dialect: acme"
    found = provider(text, dialects, {"MISTRAL_API_KEY": "k"})
    assert found.dialect == "acme"
    assert (found.options.model_dump() if found.options else {})["auth"] == "bearer"


@pytest.mark.parametrize(
    "base_url",
    [
        "http://127.0.0.1:8080/v1",
        "https://proxy.example/v1",
        "https://api.groq.com.evil.example/v1",
        "https://xapi.groq.com/v1",
    ],
)
def test_the_usual_key_goes_to_the_vendors_own_host_alone(
    installed: Dialects, base_url: str
) -> None:
    found = provider(f"preset: groq, base_url: '{base_url}'", installed, {"GROQ_API_KEY": "k"})
    assert found.api_key is None
    assert found.vendor == "groq"


def test_a_key_that_is_not_set_is_named(errors_of: ErrorsOf) -> None:
    text = "providers:\n  p: {preset: groq, dialect: plain}"
    assert errors_of(text) == [
        "gateway.yaml:2:7: providers.p.api_key: the environment variable GROQ_API_KEY is not set"
    ]


def test_an_unknown_preset_is_one_error_with_its_neighbour(errors_of: ErrorsOf) -> None:
    assert errors_of("providers:\n  p: {preset: grok, timeouts: {connect: 1s}}") == [
        f'gateway.yaml:2:7: providers.p.preset: no preset "grok"; did you mean "groq"?'
        f" (known: {KNOWN})"
    ]
    assert errors_of("providers:\n  p: {preset: 5}") == [
        "gateway.yaml:2:7: providers.p.preset: expected text, got the number 5; quote it"
    ]


def test_a_vendor_with_an_address_for_everyone_asks_for_it_once(errors_of: ErrorsOf) -> None:
    text = "providers:\n  p: {preset: azure, dialect: plain}\nroutes: {chat: {targets: p/m}}"
    assert errors_of(text) == [
        "gateway.yaml:2:3: providers.p.base_url: the preset azure needs your own address:"
        " https://RESOURCE.openai.azure.com/openai"
    ]


def test_an_error_in_what_a_preset_filled_in_points_at_the_preset(errors_of: ErrorsOf) -> None:
    (line,) = errors_of("providers:\n  p: {timeouts: {}, preset: ollama}")
    assert line.startswith("gateway.yaml:2:21: providers.p.dialect: no dialect ")


def test_a_variable_can_name_the_preset(installed: Dialects) -> None:
    environ = {"LLMGATEWAY__PROVIDERS__P__PRESET": "ollama"}
    text = "server: {insecure: false}"
    found = load(text, installed, environ).config.providers["p"]
    assert (found.base_url, found.api_key) == ("http://127.0.0.1:11434/v1", None)


@pytest.mark.parametrize(
    ("base_url", "vendor"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://acme.openai.azure.com/openai/v1", "azure"),
        ("https://acme.services.ai.azure.com/openai/v1", "azure"),
        ("https://API.Anthropic.com", "anthropic"),
        ("https://generativelanguage.googleapis.com/v1", "gemini"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.openai.com.evil.example/v1", ""),
        ("http://127.0.0.1:8080/v1", ""),
        ("http://127.0.0.1:11434/v1", ""),
    ],
)
def test_without_a_preset_the_host_tells_the_vendor(base_url: str, vendor: str) -> None:
    assert ProviderConfig(dialect="x", base_url=base_url).vendor == vendor


def test_the_schema_knows_the_presets_and_what_they_make_needless(dialects: Dialects) -> None:
    schema = schema_json(dialects, STRATEGIES)
    assert '"azure_v1"' in schema
    text = "providers: {p: {preset: ollama, dialect: plain}}"
    assert load(text, dialects).config.providers["p"].preset == "ollama"
