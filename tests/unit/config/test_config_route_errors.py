"""What is refused of how calls survive, each time with file, line, key and what was expected."""

from collections.abc import Callable

import pytest

ErrorsOf = Callable[..., list[str]]

SOUND = """\
providers:
  p: {dialect: plain, base_url: http://x}
  q: {dialect: plain, base_url: http://y, models: {m: , n: }}
"""
DURATION = "a duration such as 250ms, 5s, 1m30s or 2h"
KNOWN = "(known: cost, least_latency, priority, round_robin, weighted)"


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        (
            "strategy: cots",
            '4:28: routes.r.strategy: no strategy "cots" is installed; did you mean "cost"? '
            + KNOWN,
        ),
        (
            "strategy: 1",
            "4:28: routes.r.strategy: expected text, got the number 1; quote it",
        ),
        (
            "recovery: restart",
            "4:28: routes.r.recovery: input should be 'none' or 'continue', got \"restart\"",
        ),
        (
            "retry: {attempts: 4}",
            "4:36: routes.r.retry.attempts: input should be less than or equal to 3,"
            " got the number 4",
        ),
        (
            "retry: {attempts: 0}",
            "4:36: routes.r.retry.attempts: input should be greater than or equal to 1,"
            " got the number 0",
        ),
        (
            "retry: {patience: 3}",
            f"4:36: routes.r.retry.patience: expected {DURATION}, got the number 3",
        ),
        (
            "retry: {attempt: 3}",
            '4:36: routes.r.retry.attempt: unknown key; did you mean "attempts"?'
            " (known: attempts, patience)",
        ),
        (
            "hedge: {after: p99}",
            f'4:36: routes.r.hedge.after: expected p95 or {DURATION}, got "p99"',
        ),
        (
            "hedge: {after: 0s}",
            f'4:36: routes.r.hedge.after: expected p95 or {DURATION}, got "0s"',
        ),
        (
            "hedge: {after: }",
            f"4:36: routes.r.hedge.after: expected p95 or {DURATION}, got nothing",
        ),
        (
            "hedge: {budget: 0}",
            "4:36: routes.r.hedge.budget: input should be greater than 0, got the number 0",
        ),
        (
            "hedge: {budget: 1.5}",
            "4:36: routes.r.hedge.budget: input should be less than or equal to 1,"
            " got the number 1.5",
        ),
        (
            "hedge: {max_cost: 1}",
            '4:36: routes.r.hedge.max_cost: unknown key; did you mean "max_cost_usd"?'
            " (known: after, budget, max_cost_usd)",
        ),
        ("hedge: true", "4:28: routes.r.hedge: expected a mapping, got true"),
        ("cache: ", "4:28: routes.r.cache.ttl: this key is required"),
        ("cache: {}", "4:28: routes.r.cache.ttl: this key is required"),
        ("cache: 5m", '4:28: routes.r.cache: expected a mapping, got "5m"'),
        (
            "cache: {ttl: 0s}",
            '4:36: routes.r.cache.ttl: expected a duration longer than 0s, got "0s"',
        ),
        (
            "blocked_content: m",
            "4:28: routes.r.blocked_content: expected provider/model, such as openai/gpt-5,"
            ' got "m"',
        ),
        (
            "blocked_content: q/o",
            '4:28: routes.r.blocked_content: q lists no model "o" (known: m, n)',
        ),
        (
            "blocked_content: z/o",
            '4:28: routes.r.blocked_content: no provider "z" (known: p, q)',
        ),
    ],
)
def test_a_wrong_rule_of_a_route_is_named(errors_of: ErrorsOf, keys: str, error: str) -> None:
    assert errors_of(f"{SOUND}routes: {{r: {{targets: q/m, {keys}}}}}") == [f"gateway.yaml:{error}"]


@pytest.mark.parametrize(
    ("targets", "errors"),
    [
        ("[]", ["4:14: routes.r.targets: at least one is needed"]),
        (
            "[q/m, q/n, p/x, q/m]",
            [
                '4:39: routes.r.targets[3]: the target "q/m" is named twice, first by targets[0];'
                " remove one"
            ],
        ),
        (
            "[q/m, {model: q/m, weight: 2}]",
            [
                '4:29: routes.r.targets[1]: the target "q/m" is named twice, first by targets[0];'
                " remove one"
            ],
        ),
        (
            "[q/o, z/m]",
            [
                '4:24: routes.r.targets[0]: q lists no model "o" (known: m, n)',
                '4:29: routes.r.targets[1]: no provider "z" (known: p, q)',
            ],
        ),
        (
            "[{model: q/m, weight: 0}, {model: q/n, weight: 0.0}]",
            ["4:14: routes.r.targets: expected a weight above 0 for one target at least, got 0"],
        ),
        (
            "[{model: q/m, weight: -1}]",
            [
                "4:37: routes.r.targets[0].weight: input should be greater than or equal to 0,"
                " got the number -1"
            ],
        ),
        (
            "[q/m, {model: q/n, timeouts: {conect: 1s}}]",
            [
                "4:53: routes.r.targets[1].timeouts.conect: unknown key; did you mean"
                ' "connect"? (known: connect, first_content, idle_bytes, idle_content, pool)'
            ],
        ),
        ("[q/m, 5]", ["4:29: routes.r.targets[1]: expected a mapping, got the number 5"]),
    ],
)
def test_a_wrong_target_is_named(errors_of: ErrorsOf, targets: str, errors: list[str]) -> None:
    found = errors_of(f"{SOUND}routes: {{r: {{targets: {targets}}}}}")
    assert len(found) == len(errors)
    for line, error in zip(found, errors, strict=True):
        assert line.startswith(f"gateway.yaml:{error}")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "server: {limits: {in_flight: 0}}",
            "4:19: server.limits.in_flight: input should be greater than or equal to 1,"
            " got the number 0",
        ),
        (
            "server: {limits: {queue: 101ms}}",
            '4:19: server.limits.queue: expected 100ms at most, got "101ms"',
        ),
        (
            "server: {limits: {least: 1}}",
            "4:19: server.limits.least: unknown key (known: adaptive, in_flight, queue)",
        ),
        (
            "server: {health_check: never}",
            f'4:10: server.health_check: expected off or {DURATION}, got "never"',
        ),
        (
            "server: {health_check: false}",
            f"4:10: server.health_check: expected off or {DURATION}, got false",
        ),
        (
            "cache: {max_bytes: 64MB}",
            '4:9: cache.max_bytes: expected a size such as 512KiB, 64MiB or 2GiB, got "64MB"',
        ),
        (
            "cache: {max_byte: 64MiB}",
            '4:9: cache.max_byte: unknown key; did you mean "max_bytes"? (known: max_bytes)',
        ),
        (
            "  r: {dialect: plain, base_url: http://x, limits: {in_flight: 2.5}}",
            "4:52: providers.r.limits.in_flight: expected a whole number, got the number 2.5",
        ),
        (
            "  r: {dialect: plain, base_url: http://x, limits: {rpm: 5}}",
            "4:52: providers.r.limits.rpm: unknown key"
            " (known: in_flight, requests_per_minute, tokens_per_minute)",
        ),
        (
            "  r: {dialect: plain, base_url: http://x, breaker: {slow: 80}}",
            "4:53: providers.r.breaker.slow: input should be less than or equal to 1,"
            " got the number 80",
        ),
        (
            "  r: {dialect: plain, base_url: http://x, breaker: {open: 31s}}",
            "4:53: providers.r.breaker.open: expected no more than longest_open, which is 30s,"
            " got 31s",
        ),
    ],
)
def test_a_wrong_limit_is_named(errors_of: ErrorsOf, text: str, error: str) -> None:
    assert errors_of(SOUND + text) == [f"gateway.yaml:{error}"]


def test_toml_numbers_that_are_none_are_refused(errors_of: ErrorsOf) -> None:
    text = """\
[providers.p]
dialect = "plain"
base_url = "http://x"
[[routes.r.targets]]
model = "p/m"
weight = nan
[routes.r.hedge]
budget = nan
max_cost_usd = inf
"""
    lines = errors_of(text, source="gateway.toml")
    assert [line.split(": ")[1] for line in lines] == [
        "routes.r.targets[0].weight",
        "routes.r.hedge.budget",
        "routes.r.hedge.max_cost_usd",
    ]
