"""From the model that a caller names to the targets that may answer."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.catalog import (
    ModelEntry,
    ProviderEntry,
    RouteEntry,
    RouteTarget,
    Target,
)
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason, Violation
from llmgateway_server.domain.request import GenerationRequest, Routing
from llmgateway_server.domain.timers import Timers

DEFAULT_PATIENCE = 3.0
"""Seconds of a Retry-After that `priority`, which prefers its first target, waits out there."""


class Resolution(Struct, frozen=True):
    """Where a call may go, and by which rules.

    `is_route` is False where the caller named the target itself: a provider's "no such model" is
    then the caller's to mend.
    """

    entry: RouteEntry
    is_route: bool

    @property
    def places(self) -> tuple[RouteTarget, ...]:
        """The targets with their timers; at least one."""
        return self.entry.targets

    @property
    def patience(self) -> float:
        """The longest Retry-After that is waited out on the same target; seconds."""
        said = self.entry.retry.patience
        if said is not None:
            return said
        return DEFAULT_PATIENCE if self.entry.strategy == "priority" else 0.0

    def blamed(self, error: GatewayError) -> GatewayError:
        """The error as the caller shall see it: a route's missing model is not the caller's."""
        if error.reason is not Reason.MODEL_NOT_FOUND or not self.is_route:
            return error
        attempt = error.attempts[-1] if error.attempts else None
        where = f"{attempt.provider}/{attempt.model}" if attempt else "a model"
        ours = GatewayError(
            Reason.ROUTE_MISCONFIGURED,
            f'the route "{self.entry.name}" leads to {where}, a model that the provider does not '
            "have",
        )
        ours.attempts = error.attempts
        return ours


class RouteTable:
    """Routes, providers and models of one configuration."""

    def __init__(
        self,
        routes: Iterable[RouteEntry],
        providers: Iterable[ProviderEntry],
        models: Iterable[ModelEntry],
        default_route: str = "",
    ) -> None:
        self.routes = {route.name: route for route in routes}
        self.providers = {provider.name: provider for provider in providers}
        self.models = {model.target.name: model for model in models}
        self.default_route = default_route
        self._implicit = self._implicit_routes()

    def resolve(self, request: GenerationRequest | EmbeddingRequest) -> Resolution:
        """Where a request may go, with its timers.

        Raises:
            GatewayError: REQUEST_INVALID where no model is named and there is no default route,
                MODEL_NOT_FOUND where the name leads nowhere.
        """
        resolution = self._lookup(request)
        wanted = request.routing
        if wanted.first_content_timeout is None and wanted.idle_content_timeout is None:
            return resolution
        places = tuple(
            replace(place, timers=_timers(place.timers, wanted)) for place in resolution.places
        )
        return replace(resolution, entry=replace(resolution.entry, targets=places))

    def _lookup(self, request: GenerationRequest | EmbeddingRequest) -> Resolution:
        name = request.model or self.default_route
        if not name:
            field = "input.model" if isinstance(request, GenerationRequest) else "model"
            raise GatewayError(
                Reason.REQUEST_INVALID,
                "the request names no model and this gateway has no default_route",
                violations=(Violation(field, f"name one of: {', '.join(self._known()[:10])}"),),
            )
        route = self.routes.get(name)
        if route is not None:
            return Resolution(route, is_route=True)
        provider_name, slash, provider_model = name.partition("/")
        provider = self.providers.get(provider_name)
        if slash and provider_model and provider is not None:
            target = Target(provider_name, provider_model)
            if provider.passes_any_model or target.name in self.models:
                place = RouteTarget(target, provider.timers)
                return Resolution(RouteEntry(name, (place,)), is_route=False)
        # Last, since models of aggregators are called as the targets of others are.
        route = self._implicit.get(name)
        if route is not None:
            return Resolution(route, is_route=True)
        raise GatewayError(Reason.MODEL_NOT_FOUND, self._unknown(name), metadata=(("model", name),))

    def _implicit_routes(self) -> dict[str, RouteEntry]:
        """A plain model name leads to every provider whose configuration lists it."""
        places: dict[str, list[RouteTarget]] = {}
        for entry in self.models.values():
            place = RouteTarget(entry.target, self.providers[entry.target.provider].timers)
            places.setdefault(entry.target.model, []).append(place)
        return {model: RouteEntry(model, tuple(found)) for model, found in places.items()}

    def _known(self) -> list[str]:
        anything = [f"{p.name}/<model>" for p in self.providers.values() if p.passes_any_model]
        return [*self.routes, *self.models, *anything]

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._known(), n=1)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        return (
            f'no route or model "{name[:128]}"; {hint}'
            "CatalogService.ListModels tells what can be asked for"
        )


def _timers(timers: Timers, wanted: Routing) -> Timers:
    """The timers of a call that says some of them itself."""
    if wanted.first_content_timeout is not None:
        timers = replace(timers, first_content=wanted.first_content_timeout)
    if wanted.idle_content_timeout is not None:
        timers = replace(timers, idle_content=wanted.idle_content_timeout)
    return timers
