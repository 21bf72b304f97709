"""CatalogService: what can be asked for and how its providers are, from memory."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from llmgateway.v1 import catalog_service_pb2 as pb
from llmgateway_server.domain.catalog import (
    ModelEntry,
    ProviderEntry,
    ProviderState,
    ProviderStatus,
    RouteEntry,
)
from llmgateway_server.domain.errors import GatewayError, Reason, Violation
from llmgateway_server.domain.prices import Prices
from llmgateway_server.routing.routes import RouteTable
from llmgateway_server.transport.grpc.boundary import Boundary, Method
from llmgateway_server.transport.grpc.call import Call, MethodBudget

SERVICE = pb.DESCRIPTOR.services_by_name["CatalogService"].full_name

STATES = {
    ProviderState.ACTIVE: pb.PROVIDER_STATE_ACTIVE,
    ProviderState.DEGRADED: pb.PROVIDER_STATE_DEGRADED,
    ProviderState.CIRCUIT_OPEN: pb.PROVIDER_STATE_CIRCUIT_OPEN,
    ProviderState.DRAINING: pb.PROVIDER_STATE_DRAINING,
    ProviderState.DISABLED: pb.PROVIDER_STATE_DISABLED,
}

_BUDGET = MethodBudget(default=10.0, maximum=10.0)
_PAGE = 100
_MOST = 1000

Row = TypeVar("Row", pb.Model, ProviderEntry)


class CatalogHandlers:
    """The methods of CatalogService over one route table.

    `status` tells how a provider of the table is now, by its name.
    """

    def __init__(self, table: RouteTable, status: Callable[[str], ProviderStatus]) -> None:
        self._models = _models(table)
        self._providers = sorted(table.providers.values(), key=lambda provider: provider.name)
        self._status = status

    def methods(self, boundary: Boundary) -> dict[str, Method]:
        """The grpc handlers by method name."""
        return {
            "ListModels": boundary.unary(pb.ListModelsRequest, _BUDGET, self.list_models),
            "GetModel": boundary.unary(pb.GetModelRequest, _BUDGET, self.get_model),
            "ListProviders": boundary.unary(pb.ListProvidersRequest, _BUDGET, self.list_providers),
            "GetProvider": boundary.unary(pb.GetProviderRequest, _BUDGET, self.get_provider),
        }

    async def list_models(
        self, request: pb.ListModelsRequest, _call: Call
    ) -> pb.ListModelsResponse:
        """A page of routes and models, by name."""
        rows = [row for row in self._models if request.provider in {"", row.provider}]
        page, token = _page(rows, request.page_size, request.page_token)
        return pb.ListModelsResponse(models=page, next_page_token=token)

    async def get_model(self, request: pb.GetModelRequest, _call: Call) -> pb.GetModelResponse:
        """One route or model."""
        return pb.GetModelResponse(model=_named(self._models, request.name, "model"))

    async def list_providers(
        self, request: pb.ListProvidersRequest, _call: Call
    ) -> pb.ListProvidersResponse:
        """A page of providers, by name."""
        page, token = _page(self._providers, request.page_size, request.page_token)
        providers = [self._provider(entry) for entry in page]
        return pb.ListProvidersResponse(providers=providers, next_page_token=token)

    async def get_provider(
        self, request: pb.GetProviderRequest, _call: Call
    ) -> pb.GetProviderResponse:
        """One provider."""
        entry = _named(self._providers, request.name, "provider")
        return pb.GetProviderResponse(provider=self._provider(entry))

    def _provider(self, entry: ProviderEntry) -> pb.Provider:
        status = self._status(entry.name)
        since = Timestamp()
        since.FromMilliseconds(int(status.since * 1000))
        return pb.Provider(
            name=entry.name,
            dialect=entry.dialect,
            state=STATES[status.state],
            state_change_time=since,
            in_flight_request_count=status.in_flight,
        )


def _models(table: RouteTable) -> list[pb.Model]:
    models = [_model(entry) for entry in table.models.values()]
    routes = [_route(entry, table) for entry in table.routes.values()]
    return sorted((*models, *routes), key=lambda model: model.name)


def _model(entry: ModelEntry) -> pb.Model:
    return pb.Model(
        name=entry.target.name,
        display_name=entry.display_name,
        provider=entry.target.provider,
        **_capabilities([entry]),
        **_prices(entry.prices),
    )


def _route(entry: RouteEntry, table: RouteTable) -> pb.Model:
    names = [each.target.name for each in entry.targets]
    known = [model for name in names if (model := table.models.get(name)) is not None]
    return pb.Model(
        name=entry.name,
        targets=names,
        **_capabilities(known),
    )


def _capabilities(models: Sequence[ModelEntry]) -> dict[str, Any]:
    """What one of the models can do at least; unset where nothing is known."""
    facts = [model.capabilities for model in models]
    streaming = [model.capabilities.streaming for model in models]
    return {
        "context_window_token_count": _largest(fact.context_window for fact in facts),
        "max_output_token_count": _largest(fact.max_output for fact in facts),
        "supports_streaming": _any(streaming),
        "supports_tools": _any(fact.tools for fact in facts),
        "supports_images": _any(fact.images for fact in facts),
        "supports_json_schema": _any(fact.json_schema for fact in facts),
        "supports_reasoning": _any(fact.reasoning for fact in facts),
    }


def _prices(prices: Prices | None) -> dict[str, Any]:
    """Those of a call that is in no tier; unset where they are not known."""
    if prices is None:
        return {}
    unit = "price_nano_usd_per_million_tokens"
    return {
        f"input_{unit}": prices.input,
        f"output_{unit}": prices.output,
        f"cached_input_{unit}": prices.cached_input,
    }


def _largest(counts: Iterable[int | None]) -> int | None:
    return max((count for count in counts if count is not None), default=None)


def _any(answers: Iterable[bool | None]) -> bool | None:
    """Whether one says yes; no only where all say no."""
    said = list(answers)
    if True in said:
        return True
    return False if said and None not in said else None


def _named(rows: Sequence[Row], name: str, kind: str) -> Row:
    for row in rows:
        if row.name == name:
            return row
    raise GatewayError(
        Reason.MODEL_NOT_FOUND, f'there is no {kind} "{name[:128]}"', metadata=((kind, name),)
    )


def _page(rows: Sequence[Row], size: int, token: str) -> tuple[Sequence[Row], str]:
    """The rows after the one that the token names, and the next token."""
    if size < 0:
        raise _invalid("page_size", "must be 0 or more")
    after = _after(token)
    rest = [row for row in rows if row.name > after] if token else rows
    page = rest[: min(size or _PAGE, _MOST)]
    more = len(rest) > len(page)
    return page, base64.urlsafe_b64encode(page[-1].name.encode()).decode() if more else ""


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise _invalid("page_token", "must be the next_page_token of a page before") from None


def _invalid(field: str, description: str) -> GatewayError:
    return GatewayError(
        Reason.REQUEST_INVALID,
        f"{field}: {description}",
        violations=(Violation(field, description),),
    )
