"""The table of failure classes as calls: who fails how, who is asked next, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.policies import RetryPolicy
from llmgateway_server.domain.request import Routing
from support.scripted_targets import Script, answer, failure

OK = answer()
FAULT = failure(Reason.PROVIDER_ERROR)
TIMEOUT = failure(Reason.PROVIDER_TIMEOUT)
CONFLICT = failure(Reason.PROVIDER_CONFLICT)
LIMITED = failure(Reason.PROVIDER_RATE_LIMITED)
TOO_LONG = failure(Reason.CONTEXT_LENGTH_EXCEEDED)
BLOCKED = failure(Reason.CONTENT_BLOCKED)
INCAPABLE = GatewayError(Reason.CAPABILITY_UNSUPPORTED, "no words for it")
SILENCE: Script = [3600.0]

# How long after the one before it each further attempt comes; seconds.
Gap = tuple[float, float]
AT_ONCE: Gap = (0.0, 0.0)
JITTER: Gap = (0.0, 0.05)
AFTER_2: Gap = (2.0, 2.2)


def limited(retry_after: float, reason: Reason = Reason.PROVIDER_RATE_LIMITED) -> GatewayError:
    return failure(reason, retry_after=retry_after)


ANY = Routing()


@dataclass(frozen=True)
class Row:
    """One call: what its targets do, and who is asked when."""

    name: str
    targets: Mapping[str, Sequence[Script]]
    asked: str
    gaps: Sequence[Gap] = ()
    reason: Reason | None = None
    windows: Mapping[str, int] = field(default_factory=dict)
    routing: Routing = ANY
    within: float = 600.0
    previous_attempts: int = 0
    route: Mapping[str, Any] = field(default_factory=dict)
    blocked: str = ""


def row(
    name: str, targets: Mapping[str, Sequence[Script]], asked: str, *gaps: Gap, **more: Any
) -> Row:
    return Row(name, targets, asked, gaps, **more)


def once(script: Script) -> Sequence[Script]:
    return [script, OK]


IMPATIENT: Mapping[str, Any] = {"retry": RetryPolicy(patience=0.0)}
YES = {"b": [OK]}

CALLERS = [
    row(f"{reason.value} is the caller's", {"a": [failure(reason)], **YES}, "a", reason=reason)
    for reason in (
        Reason.PROVIDER_REJECTED_REQUEST,
        Reason.REQUEST_TOO_LARGE,
        Reason.REQUEST_INVALID,
        Reason.CONTENT_BLOCKED,
    )
]
CONTEXT = [
    row("to a larger window", {"a": [TOO_LONG], **YES}, "ab", AT_ONCE, windows={"a": 8, "b": 9}),
    row("to an unknown window", {"a": [TOO_LONG], **YES}, "ab", AT_ONCE, windows={"a": 8}),
    row("from an unknown window", {"a": [TOO_LONG], **YES}, "ab", AT_ONCE, windows={"b": 8}),
    row(
        "to no window of the same size",
        {"a": [TOO_LONG], **YES},
        "a",
        reason=Reason.CONTEXT_LENGTH_EXCEEDED,
        windows={"a": 8, "b": 8},
    ),
    row(
        "past a smaller window",
        {"a": [TOO_LONG], "b": [OK], "c": [OK]},
        "ac",
        AT_ONCE,
        windows={"a": 8, "b": 4, "c": 9},
    ),
    row(
        "to no smaller window after another failure either",
        {"a": [TOO_LONG], "b": [FAULT, OK], "c": [OK]},
        "abb",
        AT_ONCE,
        JITTER,
        windows={"a": 8, "b": 9, "c": 4},
    ),
    row(
        "the second window was too small as well",
        {"a": [TOO_LONG], "b": [TOO_LONG], "c": [OK]},
        "ab",
        reason=Reason.CONTEXT_LENGTH_EXCEEDED,
        windows={"a": 8, "b": 9, "c": 9},
    ),
]
ELSEWHERE = [
    row(f"{reason.value} goes elsewhere at once", {"a": [failure(reason)], **YES}, "ab", AT_ONCE)
    for reason in (
        Reason.PROVIDER_CREDENTIALS_REJECTED,
        Reason.PROVIDER_QUOTA_EXHAUSTED,
        Reason.MODEL_NOT_FOUND,
        Reason.PROVIDER_TIMEOUT,
    )
] + [
    row(f"{error.reason.value} and nobody else", {"a": [error]}, "a", reason=told)
    for error, told in (
        (failure(Reason.PROVIDER_CREDENTIALS_REJECTED), Reason.PROVIDER_CREDENTIALS_REJECTED),
        (failure(Reason.PROVIDER_QUOTA_EXHAUSTED), Reason.PROVIDER_QUOTA_EXHAUSTED),
        (failure(Reason.MODEL_NOT_FOUND), Reason.ROUTE_MISCONFIGURED),
        (TIMEOUT, Reason.PROVIDER_TIMEOUT),
    )
]
BACKPRESSURE = [
    row("patience", {"a": once(limited(2.0)), **YES}, "aa", AFTER_2),
    row("patience at its end", {"a": once(limited(3.0)), **YES}, "aa", (3.0, 3.3)),
    row("beyond patience", {"a": once(limited(3.1)), **YES}, "ab", AT_ONCE),
    row("no patience", {"a": once(limited(2.0)), **YES}, "ab", AT_ONCE, route=IMPATIENT),
    row("529 is the same", {"a": once(limited(2.0, Reason.PROVIDER_OVERLOADED)), **YES}, "aa"),
    row("the last attempt is another's", {"a": [limited(2.0)], **YES}, "aab", AFTER_2, AT_ONCE),
    row("no word on when", {"a": once(LIMITED), **YES}, "ab", AT_ONCE),
    row("no word and nobody else", {"a": [LIMITED, LIMITED, OK]}, "aaa", (1.0, 1.0), (2.0, 2.0)),
    row(
        "for ever",
        {"a": [limited(2.0)]},
        "aaa",
        AFTER_2,
        AFTER_2,
        reason=Reason.PROVIDER_RATE_LIMITED,
    ),
    row("nobody else is worth the wait", {"a": once(limited(100.0))}, "aa", (100.0, 110.0)),
    row(
        "longer than two minutes",
        {"a": once(limited(121.0))},
        "a",
        reason=Reason.PROVIDER_RATE_LIMITED,
    ),
    row(
        "longer than the deadline",
        {"a": once(limited(20.0))},
        "a",
        reason=Reason.PROVIDER_RATE_LIMITED,
        within=20.0,
    ),
    row("within patience, not the deadline", {"a": once(limited(2.0)), **YES}, "ab", within=2.0),
    row(
        "the sooner of two",
        {"a": once(limited(30.0)), "b": once(limited(10.0))},
        "abb",
        AT_ONCE,
        (10.0, 11.0),
    ),
    row(
        "the second is broken, the first has cooled",
        {"a": once(limited(5.0)), "b": [TIMEOUT]},
        "aba",
        AT_ONCE,
        (5.0, 5.5),
    ),
]
FAULTS = [
    row("once", {"a": once(FAULT), **YES}, "aa", JITTER),
    row("twice", {"a": [FAULT], **YES}, "aab", JITTER, AT_ONCE),
    row(
        "everywhere",
        {"a": [FAULT], "b": [FAULT]},
        "aab",
        JITTER,
        AT_ONCE,
        reason=Reason.PROVIDER_ERROR,
    ),
    row("twice and nobody else", {"a": [FAULT]}, "aa", JITTER, reason=Reason.PROVIDER_ERROR),
    row(
        "malformed",
        {"a": [failure(Reason.PROVIDER_PROTOCOL_ERROR)]},
        "aa",
        JITTER,
        reason=Reason.PROVIDER_PROTOCOL_ERROR,
    ),
    row("of a stream before content", {"a": once([(), FAULT]), **YES}, "aa", JITTER),
    row("never sent", {"a": [failure(Reason.PROVIDER_ERROR, unsent=True)], **YES}, "ab", AT_ONCE),
    row(
        "never sent and nobody else",
        {"a": once(failure(Reason.PROVIDER_ERROR, unsent=True))},
        "aa",
        JITTER,
    ),
    row(
        "with a time to come again",
        {"a": once(failure(Reason.PROVIDER_ERROR, retry_after=1.0)), **YES},
        "aa",
        (1.0, 1.1),
    ),
    row(
        "not worth another try",
        {"a": [failure(Reason.PROVIDER_ERROR, should_retry=False)], **YES},
        "ab",
        AT_ONCE,
    ),
    row(
        "not worth another try and nobody else",
        {"a": [failure(Reason.PROVIDER_ERROR, should_retry=False)]},
        "a",
        reason=Reason.PROVIDER_ERROR,
    ),
    row(
        "429 that is not worth another try",
        {"a": [failure(Reason.PROVIDER_RATE_LIMITED, retry_after=1.0, should_retry=False)]},
        "a",
        reason=Reason.PROVIDER_RATE_LIMITED,
    ),
    row("conflict", {"a": once(CONFLICT), **YES}, "aa", JITTER),
    row("conflicts", {"a": [CONFLICT], **YES}, "aab", JITTER, AT_ONCE),
]
SLOW = [
    row("silence", {"a": [SILENCE], **YES}, "ab", (10.0, 10.0)),
    row(
        "silence everywhere",
        {"a": [SILENCE], "b": [SILENCE]},
        "ab",
        (10.0, 10.0),
        reason=Reason.PROVIDER_TIMEOUT,
    ),
    row("silence and nobody else", {"a": [SILENCE]}, "a", reason=Reason.PROVIDER_TIMEOUT),
    row(
        "half of the time is the next one's", {"a": [SILENCE], **YES}, "ab", (4.0, 4.0), within=8.0
    ),
]
OTHERS = [
    row("no words for the request", {"a": [INCAPABLE], **YES}, "ab", AT_ONCE),
    row(
        "what was not sent is no attempt",
        {"a": [INCAPABLE], "b": [INCAPABLE], "c": [INCAPABLE], "d": [OK]},
        "abcd",
    ),
    row(
        "nobody has words for it",
        {"a": [INCAPABLE], "b": [INCAPABLE]},
        "ab",
        reason=Reason.CAPABILITY_UNSUPPORTED,
    ),
    row("a bug", {"a": [failure(Reason.INTERNAL)], **YES}, "a", reason=Reason.INTERNAL),
    row(
        "drain",
        {"a": [failure(Reason.GATEWAY_DRAINING)], **YES},
        "a",
        reason=Reason.GATEWAY_DRAINING,
    ),
]
SETTINGS = [
    row(
        "one attempt",
        {"a": [FAULT], **YES},
        "a",
        reason=Reason.PROVIDER_ERROR,
        routing=Routing(max_attempts=1),
    ),
    row("two attempts", {"a": [FAULT], **YES}, "ab", AT_ONCE, routing=Routing(max_attempts=2)),
    row("no more than the route's", {"a": [FAULT], **YES}, "aab", routing=Routing(max_attempts=9)),
    row(
        "a route that allows one",
        {"a": [FAULT], **YES},
        "a",
        reason=Reason.PROVIDER_ERROR,
        route={"retry": RetryPolicy(attempts=1)},
    ),
    row(
        "a caller that retries itself",
        {"a": [FAULT], **YES},
        "a",
        reason=Reason.PROVIDER_ERROR,
        previous_attempts=1,
    ),
    row(
        "half of four",
        {"a": [FAULT], **YES},
        "ab",
        AT_ONCE,
        previous_attempts=3,
        route={"retry": RetryPolicy(attempts=4)},
    ),
    row(
        "no fallback",
        {"a": [FAULT], **YES},
        "aa",
        JITTER,
        reason=Reason.PROVIDER_ERROR,
        routing=Routing(disable_fallback=True),
    ),
    row(
        "no fallback after a timeout",
        {"a": [TIMEOUT], **YES},
        "a",
        reason=Reason.PROVIDER_TIMEOUT,
        routing=Routing(disable_fallback=True),
    ),
    row(
        "the caller's order",
        {"a": [OK], "b": [TIMEOUT]},
        "ba",
        routing=Routing(provider_order=("b",)),
    ),
]
POLICY = [
    row(
        "the target for blocked content", {"a": [BLOCKED], "b": [OK], "z": [OK]}, "az", blocked="z"
    ),
    row(
        "it blocks as well",
        {"a": [BLOCKED], "b": [OK], "z": [BLOCKED]},
        "az",
        reason=Reason.CONTENT_BLOCKED,
        blocked="z",
    ),
    row(
        "what a policy refused goes to nobody else",
        {"a": [BLOCKED], "b": [OK], "z": [TIMEOUT]},
        "az",
        reason=Reason.CONTENT_BLOCKED,
        blocked="z",
    ),
    row(
        "it fails once",
        {"a": [BLOCKED], "b": [OK], "z": once(FAULT)},
        "azz",
        AT_ONCE,
        JITTER,
        blocked="z",
    ),
    row(
        "only for blocked content",
        {"a": [FAULT], "b": [TIMEOUT], "z": [OK]},
        "aab",
        reason=Reason.PROVIDER_TIMEOUT,
        blocked="z",
    ),
    row(
        "not without fallback",
        {"a": [BLOCKED], "z": [OK]},
        "a",
        reason=Reason.CONTENT_BLOCKED,
        routing=Routing(disable_fallback=True),
        blocked="z",
    ),
]
ROWS = [*CALLERS, *CONTEXT, *ELSEWHERE, *BACKPRESSURE, *FAULTS, *SLOW, *OTHERS, *SETTINGS, *POLICY]
