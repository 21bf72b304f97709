"""How calls survive: what a route, a provider and the gateway allow, as values.

Defaults and meaning are those of the design's page on resilience. Times are seconds.
"""

from __future__ import annotations

from msgspec import Struct


class RetryPolicy(Struct, frozen=True):
    """How often a call may ask upstream.

    `attempts` counts all of a call's attempts over all targets. `patience` is the longest
    Retry-After that is waited out on the same target before failing over; None: 3 s for the
    strategy `priority`, which prefers its first target, and 0 for the others.
    """

    attempts: int = 3
    patience: float | None = None


class HedgePolicy(Struct, frozen=True):
    """When a second candidate is asked although the first has not failed.

    `after` None: the target's own p95 time to first token. `budget` is the share of the route's
    calls that may be hedged, `max_cost_nano_usd` what one hedge may cost by estimate; a candidate
    of unknown price is not asked.
    """

    after: float | None = None
    budget: float = 0.05
    max_cost_nano_usd: int = 50_000_000


class CachePolicy(Struct, frozen=True):
    """That a route's answers are kept and identical calls share one upstream call.

    `include_sampled`: also where the request's sampling asks for variety.
    """

    ttl: float
    include_sampled: bool = False


class BreakerSettings(Struct, frozen=True):
    """When the circuit breaker of a target opens, and how it closes again.

    Within `window`, from `minimum_calls` on, it opens at a share of `failures` or of `slow` calls;
    and after `consecutive` failures in a row. It stays open for `open`, doubling up to
    `longest_open`, each with 10 % jitter; `probes` successes in a row close it, and traffic ramps
    up over `ramp`.
    """

    window: float = 30.0
    minimum_calls: int = 20
    failures: float = 0.5
    slow: float = 0.8
    consecutive: int = 5
    open: float = 5.0
    longest_open: float = 30.0
    probes: int = 3
    ramp: float = 10.0


class TargetLimits(Struct, frozen=True):
    """The most that one target is asked for; None: no limit of ours."""

    in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class AdmissionLimits(Struct, frozen=True):
    """The most calls that the gateway works on at the same time.

    Up to as many more wait for `queue` seconds at most. `adaptive`: the limit moves down, to
    `least` at the lowest, while providers push back or first tokens come late.
    """

    in_flight: int = 4000
    queue: float = 0.1
    adaptive: bool = True
    least: int = 64
