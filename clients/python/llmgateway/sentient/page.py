"""The playground: static files that may talk to this server only."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "cache-control": "no-cache",
    # This server's own files and nothing inline: text of a model's cannot become a script.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def playground_routes() -> Iterator[Route]:
    """The page at `/` and the files beside it, each under its own name, read once."""
    for file in (files("llmgateway.sentient") / "playground").iterdir():
        media_type = _TYPES.get(PurePath(file.name).suffix)
        if media_type:
            path = "/" if file.name == "index.html" else f"/{file.name}"
            yield Route(path, _File(file, media_type).show, name=file.name)


class _File:
    def __init__(self, file: Traversable, media_type: str) -> None:
        self._response = Response(file.read_bytes(), headers=_HEADERS, media_type=media_type)

    async def show(self, _request: Request) -> Response:
        """The file."""
        return self._response
