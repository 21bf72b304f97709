"""From the model that a caller names to the target that answers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Unsupported
from llmgateway_server.domain.catalog import ModelEntry, ProviderEntry, RouteEntry, Target
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason, Violation
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers


class Resolution(Struct, frozen=True):
    """Where a call goes.

    `route` is empty where the caller named the target itself: a provider's "no such model" is
    then the caller's to mend.
    """

    target: Target
    timers: Timers
    route: str = ""
    unsupported: Unsupported = Unsupported.REJECT

    def blamed(self, error: GatewayError) -> GatewayError:
        """The error as the caller shall see it: a route's missing model is not the caller's."""
        if error.reason is not Reason.MODEL_NOT_FOUND or not self.route:
            return error
        ours = GatewayError(
            Reason.ROUTE_MISCONFIGURED,
            f'the route "{self.route}" leads to {self.target.name}, a model that the provider '
            "does not have",
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

    def resolve(self, request: GenerationRequest | EmbeddingRequest) -> Resolution:
        """The target for a request, with its timers.

        Raises:
            GatewayError: REQUEST_INVALID where no model is named and there is no default route,
                MODEL_NOT_FOUND where the name leads nowhere.
        """
        resolution = self._lookup(request)
        wanted = request.routing
        if wanted.first_content_timeout is None and wanted.idle_content_timeout is None:
            return resolution
        timers = resolution.timers
        if wanted.first_content_timeout is not None:
            timers = replace(timers, first_content=wanted.first_content_timeout)
        if wanted.idle_content_timeout is not None:
            timers = replace(timers, idle_content=wanted.idle_content_timeout)
        return replace(resolution, timers=timers)

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
            return Resolution(route.targets[0], route.timers, name, route.unsupported)
        provider_name, slash, provider_model = name.partition("/")
        provider = self.providers.get(provider_name)
        if slash and provider_model and provider is not None:
            target = Target(provider_name, provider_model)
            if provider.passes_any_model or target.name in self.models:
                return Resolution(target, provider.timers)
        raise GatewayError(Reason.MODEL_NOT_FOUND, self._unknown(name), metadata=(("model", name),))

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
