"""`/api/models` and `/api/providers`: the gateway's catalogue as JSON, for the playground."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse

from llmgateway._aio import AsyncClient
from llmgateway._errors import GatewayError
from llmgateway.sentient.status_codes import http_status
from llmgateway.v1.catalog_service_pb2 import Model, Provider, ProviderState

_FRESH = 1.0
"""Seconds for which an answer is told again, so that many open pages cost what one does."""

_PATIENCE = 5.0

_SIZES: Mapping[str, str] = {
    "context_window_token_count": "context_window",
    "max_output_token_count": "max_output",
}
_SUPPORTS = ("streaming", "tools", "images", "json_schema", "reasoning")
_PRICES = ("input", "output", "cached_input")

Document = dict[str, object]


class Catalog:
    """The two endpoints. What is not known is left out of their JSON, never null.

    Args:
        client: The gateway.
        model: What a request gets that names no model; told as `default`.
    """

    def __init__(self, client: AsyncClient, model: str) -> None:
        self._client = client
        self._model = model
        self._list_models = _Remembered(self._read_models)
        self._list_providers = _Remembered(self._read_providers)

    async def models(self, _request: Request) -> JSONResponse:
        """All that `?model=` can name, with prices and capabilities."""
        return await _answer(self._list_models)

    async def providers(self, _request: Request) -> JSONResponse:
        """The providers and how they are."""
        return await _answer(self._list_providers)

    async def _read_models(self) -> Document:
        models = await self._client.models(timeout=_PATIENCE)
        return {"models": [model_document(each) for each in models], "default": self._model}

    async def _read_providers(self) -> Document:
        providers = await self._client.providers(timeout=_PATIENCE)
        return {"providers": [provider_document(each) for each in providers]}


def model_document(model: Model) -> Document:
    """A route, which has no provider, or a provider's model.

    Sizes are tokens, prices 10^-9 US dollars for 10^6 tokens.
    """
    sizes = _known(model, _SIZES)
    supports = _known(model, {f"supports_{name}": name for name in _SUPPORTS})
    prices = _known(
        model,
        {
            f"{name}_price_nano_usd_per_million_tokens": f"{name}_nano_usd_per_million"
            for name in _PRICES
        },
    )
    return {
        "name": model.name,
        "display_name": model.display_name,
        "provider": model.provider,
        "aliases": list(model.aliases),
        "targets": list(model.targets),
        **sizes,
        "supports": supports,
        "prices": prices,
    }


def provider_document(provider: Provider) -> Document:
    """A provider; `state` is such as `active` or `circuit_open`, times are RFC 3339."""
    content: Document = {
        "name": provider.name,
        "dialect": provider.dialect,
        "state": _state(provider.state),
        "in_flight": provider.in_flight_request_count,
    }
    if provider.HasField("state_change_time"):
        content["state_since"] = provider.state_change_time.ToJsonString()
    return content


def _known(model: Model, names: Mapping[str, str]) -> Document:
    """The fields that are set, under their names here."""
    present = {field.name: value for field, value in model.ListFields()}
    return {name: present[field] for field, name in names.items() if field in present}


class _Remembered:
    """What a call gave, or how it failed, for a second; askers meanwhile share the one call."""

    def __init__(self, read: Callable[[], Awaitable[Document]]) -> None:
        self._read = read
        self._task: asyncio.Task[tuple[Document, int]] | None = None
        self._stale_at = 0.0

    async def get(self) -> tuple[Document, int]:
        """The document and its HTTP status."""
        task, now = self._task, asyncio.get_running_loop().time()
        if task is None or (task.done() and now >= self._stale_at):
            self._stale_at = now + _FRESH
            task = self._task = asyncio.create_task(self._ask())
        # Whoever asked first may go away; the others still wait.
        return await asyncio.shield(task)

    async def _ask(self) -> tuple[Document, int]:
        try:
            return await self._read(), 200
        except GatewayError as error:
            return {"detail": str(error)}, http_status(error.code)


async def _answer(remembered: _Remembered) -> JSONResponse:
    content, status = await remembered.get()
    return JSONResponse(content, status, headers={"cache-control": "no-store"})


def _state(value: int) -> str:
    try:
        name = ProviderState.Name(value)  # type: ignore[arg-type]  # a newer server's number
    except ValueError:
        return "unspecified"
    return name.removeprefix("PROVIDER_STATE_").lower()
