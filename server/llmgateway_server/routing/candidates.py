"""The candidates of a call: who can answer it, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import RouteTarget
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.ports.strategy import Work
from llmgateway_server.routing.fitting import Fitted, fit
from llmgateway_server.routing.route_state import RouteState
from llmgateway_server.routing.routes import Resolution
from llmgateway_server.routing.target_state import TargetState
from llmgateway_server.routing.targets import Targets

# Estimates are within 20 % on recorded prompts; what is closer is left for the provider to judge.
_SURELY_TOO_LONG: Final = 1.25
# For calls that generate nothing.
_NOTHING: Final = Fitted(GenerationRequest("", ()))


class Prospect(Struct, frozen=True, eq=False):
    """A target that could answer a call, with the request as it can take it."""

    state: TargetState
    place: RouteTarget
    capabilities: Capabilities
    fitted: Fitted

    @property
    def name(self) -> str:
        """The target as callers write it."""
        return self.place.target.name


def prospects_for(
    request: GenerationRequest,
    resolution: Resolution,
    *,
    targets: Targets,
    route: RouteState,
    work: Work,
    now: float,
) -> list[Prospect]:
    """The targets of a resolution that can take the request, the first to be asked at the front.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, none of them can.
    """
    found: list[Prospect] = []
    refusal: GatewayError | None = None
    for place in resolution.places:
        state = targets.state(place.target)
        capabilities = state.provider.capabilities(place.target.model)
        try:
            fitted = fit(request, capabilities, resolution.entry.unsupported)
        except GatewayError as error:
            refusal = refusal or error
            continue
        found.append(Prospect(state, place, capabilities, fitted))
    if not found:
        # A resolution has at least one place, so somebody has refused.
        raise refusal or AssertionError("a route without targets")
    if len(found) == 1:
        return found
    return _preferred(request, _ordered(_fitting(found, work), route, work, now))


def prospect_of(
    request: GenerationRequest, place: RouteTarget, resolution: Resolution, targets: Targets
) -> Prospect:
    """One target outside of the route's order.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, it cannot take the request.
    """
    state = targets.state(place.target)
    capabilities = state.provider.capabilities(place.target.model)
    fitted = fit(request, capabilities, resolution.entry.unsupported)
    return Prospect(state, place, capabilities, fitted)


def places_of_one_model(resolution: Resolution, targets: Targets) -> list[Prospect]:
    """The targets that have the first one's model, for work whose results of two do not mix."""
    model = resolution.places[0].target.model
    return [
        Prospect(
            state := targets.state(place.target),
            place,
            state.provider.capabilities(model),
            _NOTHING,
        )
        for place in resolution.places
        if place.target.model == model
    ]


def _fitting(found: list[Prospect], work: Work) -> list[Prospect]:
    """Those whose context is not surely too small; all of them where it is too small everywhere."""
    fitting = [
        prospect
        for prospect in found
        if prospect.capabilities.context_window is None
        or work.input_tokens <= prospect.capabilities.context_window * _SURELY_TOO_LONG
    ]
    return fitting or found


def _ordered(
    found: list[Prospect], route: RouteState, work: Work, now: float
) -> Sequence[Prospect]:
    candidates = [prospect.state.candidate(prospect.place, now) for prospect in found]
    rest = {prospect.place.target: prospect for prospect in found}
    # A plug-in may forget one or make one up; a call must not lose a candidate by that.
    ordered = [
        rest.pop(each.target)
        for each in route.strategy.order(candidates, work)
        if each.target in rest
    ]
    return [*ordered, *rest.values()]


def _preferred(request: GenerationRequest, ordered: Sequence[Prospect]) -> list[Prospect]:
    """Those first that the caller wants to have first."""
    wanted = request.routing.provider_order
    if not wanted:
        return list(ordered)
    rank = {name: index for index, name in enumerate(wanted)}
    return sorted(ordered, key=lambda each: rank.get(each.place.target.provider, len(rank)))
