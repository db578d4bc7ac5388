"""The console's page and what it loads: HTML, CSS and modules of JavaScript.

Serving files with their headers lives here; the data that they show does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

_ASSETS = files("sidecar_client.local.http.console").joinpath("assets")
_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    # Asked for again each time: a newer version is never shown by an older script.
    "Cache-Control": "no-cache",
}


def routes() -> list[BaseRoute]:
    """The page at `/`, and one route for each file, so that no path leads elsewhere."""
    names = sorted(item.name for item in _ASSETS.iterdir() if item.is_file())
    found: list[BaseRoute] = [Route("/", _serving("index.html"))]
    for name in names:
        if name != "index.html" and name.rpartition(".")[2] in _TYPES:
            found.append(Route(f"/console/{name}", _serving(name)))
    return found


def _serving(name: str) -> Callable[[Request], Awaitable[Response]]:
    content = _ASSETS.joinpath(name).read_bytes()
    kind = _TYPES[name.rpartition(".")[2]]

    async def serve(_: Request) -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return serve
