"""What the configuration may say of how much and how long: limits, breakers, timers."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec.structs import replace
from pydantic import AfterValidator, Field

from llmgateway_server.config.section import Section
from llmgateway_server.config.units import Duration, DurationOrZero, format_duration
from llmgateway_server.domain.policies import AdmissionLimits, BreakerSettings, TargetLimits
from llmgateway_server.domain.timers import Timers

# A caller that waits longer than this for a place is better off asking another replica.
_LONGEST_QUEUE: Final = 0.1


def _check_queue(seconds: float) -> float:
    if seconds > _LONGEST_QUEUE:
        raise ValueError(f"expected {format_duration(_LONGEST_QUEUE)} at most")
    return seconds


Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class AdmissionConfig(Section):
    """The most that the gateway works on at the same time."""

    in_flight: Count = AdmissionLimits().in_flight
    """How many calls; as many more may wait for `queue`, the others are refused at once."""
    queue: Annotated[DurationOrZero, AfterValidator(_check_queue)] = AdmissionLimits().queue
    """How long a call may wait for its turn, 100ms at most."""
    adaptive: bool = AdmissionLimits().adaptive
    """The limit moves down while providers push back or first tokens come late, and up again."""

    def known(self) -> AdmissionLimits:
        """The limits as the gateway takes them."""
        least = min(AdmissionLimits().least, self.in_flight)
        return AdmissionLimits(self.in_flight, self.queue, self.adaptive, least)


class TargetLimitsConfig(Section):
    """The most that each of a provider's models is asked for. What is left out has no limit."""

    in_flight: Count | None = None
    """Calls at the same time."""
    requests_per_minute: Count | None = None
    """Calls a minute, as the provider's own limits count them."""
    tokens_per_minute: Count | None = None
    """Input and output tokens a minute; estimated before a call and corrected by its usage."""

    def known(self) -> TargetLimits:
        """The limits as routing takes them."""
        return TargetLimits(**dict(self))


class BreakerConfig(Section):
    """When a model that fails is left alone, and how it comes back."""

    window: Duration = BreakerSettings().window
    """The time that is looked back on."""
    minimum_calls: Count = BreakerSettings().minimum_calls
    """Fewer calls within the window than this decide nothing, but for `consecutive`."""
    failures: Fraction = BreakerSettings().failures
    """The share of failed calls, up to 1, at which it opens."""
    slow: Fraction = BreakerSettings().slow
    """The share of calls with a late first content, up to 1, at which it opens."""
    consecutive: Count = BreakerSettings().consecutive
    """So many failures in a row open it."""
    open: Duration = BreakerSettings().open
    """How long nothing is sent before the first probe; doubles while probes fail."""
    longest_open: Duration = BreakerSettings().longest_open
    """What `open` doubles up to."""
    ramp: DurationOrZero = BreakerSettings().ramp
    """After it has closed, traffic grows to its full share over this long."""

    def known(self) -> BreakerSettings:
        """The settings as routing takes them."""
        return BreakerSettings(**dict(self))


class TimeoutsConfig(Section):
    """Timers of one call. A target's own go before its route's, those before its provider's."""

    connect: Duration | None = None
    """For TCP and TLS to the provider. Default 5s."""
    pool: Duration | None = None
    """For a free connection. Default 1s."""
    first_content: Duration | None = None
    """From sending the request to the first content, response headers included. Default 60s; while another target can be asked 10s, or four times what the target usually takes if that is longer."""  # noqa: E501
    idle_bytes: Duration | None = None
    """Between any two reads from the provider. Default 15s."""
    idle_content: Duration | None = None
    """Between two pieces of content; comments and pings are none. Default 30s."""

    def over(self, base: Timers) -> Timers:
        """The base with what is set here."""
        return replace(base, **{name: value for name, value in self if value is not None})
