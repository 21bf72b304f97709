"""What the configuration may say of a route: its targets, and how its calls survive."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from llmgateway_server.config.limits_schema import Fraction, TimeoutsConfig
from llmgateway_server.config.section import Section, one_or_many, or_empty
from llmgateway_server.config.units import Duration, DurationOrP95, DurationOrZero
from llmgateway_server.domain.capabilities import Unsupported
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.policies import CachePolicy, HedgePolicy, RetryPolicy
from llmgateway_server.domain.prices import nano_dollars


def _check_target(text: str) -> str:
    provider, slash, model = text.partition("/")
    if not (provider and slash and model and text.isprintable()):
        raise ValueError("expected provider/model, such as openai/gpt-5")
    return text


def _target(text: str) -> Target:
    provider, _, model = text.partition("/")
    return Target(provider, model)


DEFAULT_STRATEGY: Final = "priority"
TargetName = Annotated[str, AfterValidator(_check_target)]


class TargetConfig(Section):
    """One target of a route."""

    model: TargetName
    """provider/model, such as openai/gpt-5."""
    weight: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 1.0
    """Its share of the calls against the other targets' weights, for the strategy `weighted`."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """Timers of calls to this target, where they differ from the route's."""

    @property
    def target(self) -> Target:
        """The target that is named."""
        return _target(self.model)


class RetryConfig(Section):
    """How often a call may ask upstream."""

    attempts: Annotated[int, Field(ge=1, le=3)] = RetryPolicy().attempts
    """All attempts of one call over all targets, 1 to 3."""
    patience: DurationOrZero | None = None
    """The longest Retry-After that is waited out before the next target is asked. Default: 3s for
    the strategy `priority`, which prefers its first target, and 0s for the others."""

    def known(self) -> RetryPolicy:
        """The policy as routing takes it."""
        return RetryPolicy(self.attempts, self.patience)


class HedgeConfig(Section):
    """A second target is asked although the first has not failed; the first content wins."""

    after: DurationOrP95 = None
    """When: a duration, or p95, the target's own p95 of the time to the first token (default)."""
    budget: Fraction = HedgePolicy().budget
    """The share of the route's calls, up to 1, that may ask twice."""
    max_cost_usd: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 0.05
    """What the second call may cost by estimate; a target of unknown price is not asked."""

    def known(self) -> HedgePolicy:
        """The policy as the core takes it."""
        return HedgePolicy(self.after, self.budget, nano_dollars(Decimal(str(self.max_cost_usd))))


class CachePolicyConfig(Section):
    """The route's answers are kept, and identical calls at the same time share one."""

    ttl: Duration
    """How long an answer is kept."""
    include_sampled: bool = False
    """Also where the request's sampling asks for variety."""

    def known(self) -> CachePolicy:
        """The policy as the core takes it."""
        return CachePolicy(self.ttl, self.include_sampled)


def _targets(value: object) -> tuple[object, ...]:
    return tuple({"model": item} if isinstance(item, str) else item for item in one_or_many(value))


class RouteConfig(Section):
    """A name that callers ask for, and where it leads."""

    strategy: str = DEFAULT_STRATEGY
    """In which order targets are asked, by the name of an installed strategy. `priority`: as they
    stand here."""
    targets: Annotated[
        tuple[TargetConfig, ...],
        BeforeValidator(
            _targets, json_schema_input_type=str | TargetConfig | list[str | TargetConfig]
        ),
        Field(min_length=1),
    ]
    """The targets, each as provider/model or with its weight and timers; one or a list."""
    recovery: Literal["none", "continue"] = "continue"
    """What may follow a failure after content, where the request does not say: `continue` goes on
    where the answer broke off, if that can be done unseen. Only a request may ask for a restart."""
    retry: Annotated[
        RetryConfig, BeforeValidator(or_empty, json_schema_input_type=RetryConfig | None)
    ] = RetryConfig()
    """How often a call may ask upstream."""
    hedge: Annotated[HedgeConfig | None, BeforeValidator(or_empty)] = None
    """Asks a second target when the first is late. Left out: never; empty: with the defaults."""
    cache: Annotated[CachePolicyConfig | None, BeforeValidator(or_empty)] = None
    """Keeps answers, and lets identical calls share one. Left out: every call asks a provider."""
    blocked_content: TargetName | None = None
    """The target, as provider/model, that is asked where a content policy refuses the request.
    Left out: the refusal goes to the caller."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """Timers of this route's calls, where they differ from the provider's."""
    unsupported: Annotated[Unsupported, Field(strict=False)] = Unsupported.REJECT
    """What becomes of a request that says more than the model can take: `reject` refuses it, `drop`
    leaves out what only shades the answer (sampling, effort) and still refuses the rest."""

    @property
    def blocked_content_target(self) -> Target | None:
        """The target for what a content policy refuses."""
        return _target(self.blocked_content) if self.blocked_content else None
