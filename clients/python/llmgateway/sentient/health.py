"""`/health/live` and `/health/ready`, for those who start and watch the bridge."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from llmgateway._aio import AsyncClient
from llmgateway._errors import GatewayError

_PATIENCE = 2.0
"""Seconds for the gateway's answer; Kubernetes by default gives a probe one, most others more."""


class Health:
    """The two endpoints; each answers with status 200 or 503."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def live(self, _request: Request) -> JSONResponse:
        """Whether this process works."""
        return JSONResponse({"status": "SERVING"})

    async def ready(self, _request: Request) -> JSONResponse:
        """Whether the gateway can be reached and serves."""
        try:
            status = await self._client.health(timeout=_PATIENCE)
        except GatewayError as error:
            return JSONResponse(
                {"status": "NOT_SERVING", "reason": error.reason or error.code.name}, 503
            )
        return JSONResponse({"status": status}, 200 if status == "SERVING" else 503)
