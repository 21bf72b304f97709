"""What `config check`, `config schema` and `config example` print."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace
from pydantic import BaseModel

from llmgateway_server.config import (
    Dialects,
    LoadedConfig,
    check_text,
    example_yaml,
    is_loopback,
    load_text,
    schema_json,
)
from llmgateway_server.domain.catalog import RouteEntry
from llmgateway_server.domain.policies import CachePolicy, HedgePolicy, TargetLimits
from llmgateway_server.domain.timers import Timers
from support.json_schema import accepts
from support.strategies import STRATEGIES


class AzureOptions(BaseModel):
    auth: str = "bearer"
    api_version: str | None = None


@pytest.fixture
def example(dialects: Dialects) -> LoadedConfig:
    return load_text(
        example_yaml(),
        {"OPENAI_API_KEY": "sk-canary-canary"},
        dialects={**dialects, "openai_chat": None},
        strategies=STRATEGIES,
        source="gateway.yaml",
        directory=Path(),
    )


def test_the_example_loads_and_holds_the_defaults(example: LoadedConfig) -> None:
    text = "providers: {p: {dialect: plain, base_url: http://x}}"
    bare = load_text(
        text, {}, dialects={"plain": None}, strategies=STRATEGIES, source="g.yaml", directory=Path()
    )
    assert example.config.server == bare.config.server
    assert example.config.cache == bare.config.cache
    written, unwritten = example.config.providers["openai"], bare.config.providers["p"]
    assert (written.pool, written.breaker) == (unwritten.pool, unwritten.breaker)
    assert written.timers == Timers()
    route = example.config.route_entry("chat")
    assert replace(route, targets=()) == RouteEntry("chat", ())


def test_the_examples_comments_hold_keys_that_exist(dialects: Dialects, tmp_path: Path) -> None:
    for name in ("server.pem", "server.key", "callers.pem"):
        (tmp_path / name).write_text("-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n")
    text = re.sub(
        r"^( *)# (?=tls:|reflection:|pause:|first_content:|limits:|models:|  gpt-5:"
        r"|  gpt-5-mini:|    (?:display|capab)|groq:|hedge:|cache:|blocked_content:)",
        r"\1",
        example_yaml(),
        flags=re.MULTILINE,
    )
    assert text.count("#") == example_yaml().count("#") - 14
    loaded = load_text(
        text,
        {"OPENAI_API_KEY": "x", "GROQ_API_KEY": "y"},
        dialects={**dialects, "openai_chat": None},
        strategies=STRATEGIES,
        source="gateway.yaml",
        directory=tmp_path,
    )
    assert loaded.tls is not None
    models = loaded.config.providers["openai"].models or {}
    assert list(models) == ["gpt-5", "gpt-5-mini"]
    assert models["gpt-5"].capabilities.max_output == 64_000
    assert loaded.api_keys["groq"].reveal() == "y"
    assert loaded.config.providers["openai"].limits.known() == TargetLimits(64, 500, 200_000)
    route = loaded.config.route_entry("chat")
    assert (route.hedge, route.cache) == (HedgePolicy(), CachePolicy(300))
    assert route.blocked_content is not None


def test_a_check_shows_routes_targets_and_timers_and_no_secret(example: LoadedConfig) -> None:
    assert (
        check_text(example)
        == f"""\
gateway.yaml: valid, version {example.version}
listens on 127.0.0.1:50051 (plain text, reflection on)
chat -> openai/gpt-5, openai/gpt-5-mini (default)
    strategy priority
    openai/gpt-5
        connect 5s, pool 1s, first content 1m (10s while another is in reserve), \
idle bytes 15s, idle content 30s
    openai/gpt-5-mini
        connect 5s, pool 1s, first content 20s, idle bytes 15s, idle content 30s
openai/... -> any model
    openai_chat at https://api.openai.com/v1, key env:OPENAI_API_KEY
    connect 5s, pool 1s, first content 1m, idle bytes 15s, idle content 30s
local/... -> any model
    openai_chat at http://127.0.0.1:8080/v1, no key
    connect 5s, pool 1s, first content 1m, idle bytes 15s, idle content 30s"""
    )
    assert "canary" not in repr(example)


def test_a_check_shows_what_a_preset_filled_in_and_what_is_dropped() -> None:
    text = """\
providers:
  prod: {preset: azure, base_url: https://acme.openai.azure.com/openai}
routes:
  chat: {targets: prod/gpt-5, unsupported: drop}
"""
    loaded = load_text(
        text,
        {"AZURE_OPENAI_API_KEY": "canary"},
        dialects={"openai_chat": AzureOptions},
        strategies=STRATEGIES,
        source="g.yaml",
        directory=Path(),
    )
    assert (
        check_text(loaded).partition("reflection on)\n")[2]
        == """\
chat -> prod/gpt-5
    what the model does not take is left out where that can be
    openai_chat at https://acme.openai.azure.com/openai (preset azure), key env:AZURE_OPENAI_API_KEY
    auth api-key, api_version 2024-10-21
    connect 5s, pool 1s, first content 1m, idle bytes 15s, idle content 30s
prod/... -> any model
    openai_chat at https://acme.openai.azure.com/openai (preset azure), key env:AZURE_OPENAI_API_KEY
    auth api-key, api_version 2024-10-21
    connect 5s, pool 1s, first content 1m, idle bytes 15s, idle content 30s"""
    )


def test_a_check_shows_how_calls_survive_where_that_is_not_by_default(dialects: Dialects) -> None:
    text = """\
server: {limits: {in_flight: 10, adaptive: false}, health_check: off}
providers:
  p: {dialect: plain, base_url: http://x, limits: {in_flight: 64}, breaker: {open: 10s}}
routes:
  sure:
    strategy: weighted
    targets: [p/a, {model: p/b, weight: 2.5, timeouts: {first_content: 20s}}]
    recovery: none
    retry: {attempts: 2, patience: 0s}
    hedge:
    cache: {ttl: 5m}
    blocked_content: p/c
  plain: {targets: {model: p/a, weight: 2}}
  odd: {strategy: cost, targets: p/a, hedge: {after: 2s}}
cache: {max_bytes: 2GiB}
"""
    loaded = load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    )
    timers = "connect 5s, pool 1s, first content 1m, idle bytes 15s, idle content 30s"
    in_reserve = timers.replace("1m", "1m (10s while another is in reserve)")
    assert (
        check_text(loaded).partition("reflection on)\n")[2]
        == f"""\
limits: in flight 10, queue 100ms, adaptive false
cache: max bytes 2GiB
providers are not asked how they are
sure -> p/a, p/b
    strategy weighted
    recovery none
    retry: attempts 2, patience 0s
    hedge: after p95, budget 0.05, max cost usd 0.05
    cache: ttl 5m, include sampled false
    blocked content -> p/c
    p/a
        {in_reserve}
    p/b (weight 2.5)
        {timers.replace("1m", "20s")}
plain -> p/a
    plain at http://x, no key
    {timers}
odd -> p/a
    strategy cost
    hedge: after 2s, budget 0.05, max cost usd 0.05
    plain at http://x, no key
    {timers}
p/... -> any model
    plain at http://x, no key
    limits: in flight 64
    breaker: window 30s, minimum calls 20, failures 0.5, slow 0.8, consecutive 5, open 10s, \
longest open 30s, ramp 10s
    {timers}"""
    )


@pytest.mark.parametrize(
    ("listen", "local"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("unix:/run/gateway.sock", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.org:1", False),
    ],
)
def test_defaults_follow_whether_other_machines_can_connect(
    dialects: Dialects, listen: str, local: bool
) -> None:
    text = (
        f"server: {{listen: [127.0.0.1:0, '{listen}'], insecure: true}}\n"
        "providers: {p: {dialect: plain, base_url: http://x}}"
    )
    server = load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    ).config.server
    assert is_loopback(listen) is local
    assert server.serves_reflection is local
    assert server.drain_pause == (0 if local else 5)


def test_defaults_give_way_to_what_is_written(dialects: Dialects) -> None:
    text = (
        "server: {reflection: false, drain: {pause: 1s}}\n"
        "providers: {p: {dialect: plain, base_url: http://x}}"
    )
    server = load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    ).config.server
    assert (server.serves_reflection, server.drain_pause) == (False, 1)


def sections(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "", schema
    yield from schema["$defs"].items()


def test_every_key_of_the_schema_is_described_and_every_section_closed(dialects: Dialects) -> None:
    schema = json.loads(schema_json(dialects, STRATEGIES))
    for name, section in sections(schema):
        if "enum" in section:
            assert section["description"]
            continue
        assert section["additionalProperties"] is False
        for key, field in section["properties"].items():
            assert field.get("description"), f"{name}.{key}"
    provider = schema["$defs"]["ProviderConfig"]["properties"]
    assert provider["dialect"]["enum"] == ["acme", "plain"]
    assert provider["organization"]["description"] == "Sent as a header."
    assert "options" not in provider
    assert schema["$defs"]["RouteConfig"]["properties"]["strategy"]["enum"] == [*STRATEGIES]


def test_the_schema_accepts_the_example_and_every_default(dialects: Dialects) -> None:
    schema = json.loads(schema_json({**dialects, "openai_chat": None}, STRATEGIES))
    tree = yaml.safe_load(example_yaml())
    assert accepts(schema, schema, tree)
    assert not accepts(schema, schema, tree | {"access": {}})
    for provider, accepted in (({"preset": "groq"}, True), ({"dialect": "plain"}, False)):
        assert accepts(schema, schema, {"providers": {"p": provider}}) is accepted
    assert not accepts(schema, schema, {"providers": {"p": {"preset": "grok"}}})
    tree["server"]["drain"]["grace"] = 20
    assert not accepts(schema, schema, tree)
    for name, section in sections(schema):
        for key, field in section.get("properties", {}).items():
            if "default" in field:
                assert accepts(schema, field, field["default"]), f"{name}.{key}"
