"""How calls survive, as a file says it: the values that the core gets."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from llmgateway_server.config import Config, Dialects, load_text
from llmgateway_server.domain.capabilities import Unsupported
from llmgateway_server.domain.catalog import RouteEntry, RouteTarget, Target
from llmgateway_server.domain.policies import (
    AdmissionLimits,
    BreakerSettings,
    CachePolicy,
    HedgePolicy,
    RetryPolicy,
    TargetLimits,
)
from llmgateway_server.domain.request import RecoveryMode
from llmgateway_server.domain.timers import Timers
from support.strategies import STRATEGIES

SOUND = """\
providers:
  p: {dialect: plain, base_url: http://x, timeouts: {connect: 2s, pool: 2s, idle_bytes: 3s}}
  q: {dialect: plain, base_url: http://y, models: {m: , n: }}
"""


def load(text: str, dialects: Dialects, environ: Mapping[str, str] | None = None) -> Config:
    return load_text(
        SOUND + text,
        environ or {},
        dialects=dialects,
        strategies=STRATEGIES,
        source="g.yaml",
        directory=Path(),
    ).config


def test_a_route_says_everything(dialects: Dialects) -> None:
    text = """\
routes:
  chat:
    strategy: weighted
    targets: [p/a/b, {model: q/m, weight: 2.5, timeouts: {first_content: 20s, pool: 4s}}]
    recovery: none
    retry: {attempts: 2, patience: 1500ms}
    hedge: {after: 2s, budget: 0.1, max_cost_usd: 0.000000001}
    cache: {ttl: 5m, include_sampled: true}
    blocked_content: q/n
    timeouts: {connect: 1s, pool: 3s}
    unsupported: drop
"""
    assert load(text, dialects).route_entry("chat") == RouteEntry(
        "chat",
        (
            RouteTarget(Target("p", "a/b"), Timers(connect=1, pool=3, idle_bytes=3)),
            RouteTarget(Target("q", "m"), Timers(connect=1, pool=4, first_content=20), weight=2.5),
        ),
        strategy="weighted",
        unsupported=Unsupported.DROP,
        recovery=RecoveryMode.NONE,
        retry=RetryPolicy(attempts=2, patience=1.5),
        hedge=HedgePolicy(after=2, budget=0.1, max_cost_nano_usd=1),
        cache=CachePolicy(ttl=300, include_sampled=True),
        blocked_content=RouteTarget(Target("q", "n"), Timers(connect=1, pool=3)),
    )


def test_a_route_that_says_only_where_it_leads_has_the_defaults_of_the_core(
    dialects: Dialects,
) -> None:
    found = load("routes: {chat: {targets: q/m}}", dialects).route_entry("chat")
    assert found == RouteEntry("chat", (RouteTarget(Target("q", "m")),))


@pytest.mark.parametrize("said", ["hedge: ", "hedge: {}", "hedge: {after: p95}"])
def test_a_hedge_without_a_word_is_one_with_the_defaults(dialects: Dialects, said: str) -> None:
    found = load(f"routes: {{chat: {{targets: q/m, {said}}}}}", dialects).route_entry("chat")
    assert found.hedge == HedgePolicy()


def test_a_targets_own_timers_go_before_its_routes_and_those_before_its_providers(
    dialects: Dialects,
) -> None:
    text = """\
routes:
  r:
    targets: {model: p/m, timeouts: {connect: 1s}}
    timeouts: {connect: 8s, pool: 4s}
"""
    config = load(text, dialects)
    (place,) = config.route_targets("r")
    assert place.timers == Timers(connect=1, pool=4, idle_bytes=3)
    assert config.providers["p"].timers == Timers(connect=2, pool=2, idle_bytes=3)
    assert place.timers.first_content is None


def test_limits_a_breaker_and_the_gateways_own_bounds_are_said_once(dialects: Dialects) -> None:
    text = """\
  r:
    dialect: plain
    base_url: http://z
    limits: {requests_per_minute: 500, tokens_per_minute: 200000, in_flight: 64}
    breaker: {window: 20s, minimum_calls: 10, failures: 1, slow: 0.7, consecutive: 4, open: 6s,
              longest_open: 40s, ramp: 0s}
server:
  limits: {in_flight: 100, queue: 50ms, adaptive: false}
  health_check: 1m
cache: {max_bytes: 512KiB}
"""
    config = load(text, dialects)
    assert config.providers["r"].limits.known() == TargetLimits(64, 500, 200_000)
    assert config.providers["r"].breaker.known() == BreakerSettings(
        20, 10, 1.0, 0.7, 4, 6, 40, ramp=0
    )
    assert config.server.limits.known() == AdmissionLimits(100, 0.05, adaptive=False)
    assert config.server.health_check == 60
    assert config.cache.max_bytes == 512 * 1024


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cache:\nserver: {limits: }",
        "  r: {dialect: plain, base_url: http://x, limits: , breaker: }\n",
        "routes: {chat: {targets: q/m, retry: }}",
    ],
)
def test_what_is_left_out_or_without_a_value_has_the_defaults_of_the_core(
    dialects: Dialects, text: str
) -> None:
    config = load(text, dialects)
    assert config.server.limits.known() == AdmissionLimits()
    assert config.server.health_check == 30
    assert config.cache.max_bytes == 64 * 1024 * 1024
    for provider in config.providers.values():
        assert provider.limits.known() == TargetLimits()
        assert provider.breaker.known() == BreakerSettings()
    for route in config.routes.values():
        assert route.retry.known() == RetryPolicy()


def test_providers_need_not_be_asked_how_they_are(dialects: Dialects) -> None:
    assert load("server: {health_check: off}", dialects).server.health_check is None


def test_an_adaptive_limit_never_has_a_least_above_its_most(dialects: Dialects) -> None:
    limits = load("server: {limits: {in_flight: 3}}", dialects).server.limits.known()
    assert limits == AdmissionLimits(in_flight=3, least=3)


def test_variables_set_single_keys_of_routes_limits_and_the_cache(dialects: Dialects) -> None:
    environ = {
        f"LLMGATEWAY__{name}": value
        for name, value in {
            "SERVER__LIMITS__IN_FLIGHT": "7",
            "SERVER__HEALTH_CHECK": "off",
            "CACHE__MAX_BYTES": "1GiB",
            "PROVIDERS__P__LIMITS__TOKENS_PER_MINUTE": "9",
            "PROVIDERS__P__BREAKER__FAILURES": "0.25",
            "ROUTES__CHAT__STRATEGY": "cost",
            "ROUTES__CHAT__RECOVERY": "none",
            "ROUTES__CHAT__RETRY__ATTEMPTS": "1",
            "ROUTES__CHAT__HEDGE__AFTER": "p95",
            "ROUTES__CHAT__CACHE__TTL": "1s",
            "ROUTES__CHAT__BLOCKED_CONTENT": "p/m",
        }.items()
    }
    config = load("routes: {chat: {targets: [q/m, q/n]}}", dialects, environ)
    assert config.server.limits.in_flight == 7
    assert config.server.health_check is None
    assert config.cache.max_bytes == 1 << 30
    assert config.providers["p"].limits.known() == TargetLimits(tokens_per_minute=9)
    assert config.providers["p"].breaker.known() == BreakerSettings(failures=0.25)
    route = config.route_entry("chat")
    assert (route.strategy, route.recovery) == ("cost", RecoveryMode.NONE)
    assert (route.retry, route.hedge) == (RetryPolicy(1), HedgePolicy())
    assert route.cache == CachePolicy(1)
    assert route.blocked_content is not None


def test_a_strategy_of_a_plug_in_is_as_good_as_ours(dialects: Dialects) -> None:
    text = SOUND + "routes: {chat: {targets: q/m, strategy: acme_best}}"
    config = load_text(
        text, {}, dialects=dialects, strategies={"acme_best"}, source="g.yaml", directory=Path()
    ).config
    assert config.route_entry("chat").strategy == "acme_best"
