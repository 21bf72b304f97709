"""The bridge as an ASGI application; needs the extra `bridge`.

| path | answers |
|---|---|
| `POST /assist` (`?model=NAME`) | the framework's events |
| `GET /health/live`, `/health/ready` | 200 or 503 |
| `GET /` | the playground |
| `GET /api/models`, `/api/providers` | the gateway's catalogue, for the playground |

It has no users: whoever reaches it may ask, with the gateway's credential that it was given. What
was typed is logged nowhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from llmgateway._aio import AsyncClient
from llmgateway.sentient.assist import Assist
from llmgateway.sentient.catalog import Catalog
from llmgateway.sentient.health import Health
from llmgateway.sentient.page import playground_routes
from llmgateway.sentient.settings import BridgeOptions

_DEFAULTS = BridgeOptions()


def create_app(client: AsyncClient, options: BridgeOptions = _DEFAULTS) -> Starlette:
    """The application. Its lifespan's end closes the client.

    `app.state.assist` is the endpoint of `/assist`; its `end_answers` ends what is under way.

    Args:
        client: The gateway. All requests share its one channel, opened with the first.
        options: What can be chosen.
    """
    assist = Assist(client, options)
    health = Health(client)
    catalog = Catalog(client, options.model)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with client:
            yield

    app = Starlette(
        routes=[
            Route("/assist", assist, methods=["POST"]),
            # The framework redirects this one, which its own Python client does not follow.
            Route("/assist/", assist, methods=["POST"]),
            Route("/health/live", health.live),
            Route("/health/ready", health.ready),
            Route("/api/models", catalog.models),
            Route("/api/providers", catalog.providers),
            *playground_routes(),
        ],
        middleware=_cross_origin(options),
        exception_handlers={HTTPException: _refuse},
        lifespan=lifespan,
    )
    app.state.assist = assist
    return app


def _cross_origin(options: BridgeOptions) -> list[Middleware]:
    if not options.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=["GET", "POST"],
            # What the framework's clients send beyond what is always allowed.
            allow_headers=["Cache-Control"],
        )
    ]


async def _refuse(_request: Request, error: Exception) -> JSONResponse:
    """The status as FastAPI words it, which the framework is made of."""
    assert isinstance(error, HTTPException)  # noqa: S101 - the only ones that come here
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
