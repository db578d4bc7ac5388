"""What is below the routes of an application: routes, mounted applications, guards.

What is done with them is the business of those who look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import BaseRoute

from stigg_guard import asgi
from stigg_guard.guard import AsyncGuard


def candidates(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """The routes in order; a router that FastAPI included stands for its own routes."""
    for route in routes:
        effective = getattr(route, "effective_candidates", None)
        if effective is None:
            # What is no route of FastAPI's own keeps its routes below.
            yield getattr(route, "starlette_route", None) or route
        else:
            yield from candidates(effective())


def routes_below(routes: Iterable[BaseRoute]) -> Iterator[Any]:
    """All routes, through mounts and through routers that FastAPI included.

    Those of an included router come as it serves them, with its dependencies.
    """
    for route in candidates(routes):
        below = getattr(route, "routes", None)
        if below:
            yield from routes_below(below)
        else:
            yield route


def guards_below(routes: Iterable[BaseRoute]) -> Iterator[AsyncGuard]:
    """The guards that applications below these routes made for themselves, so far.

    Servers tell only the outermost application that they start and stop.
    """
    for route in candidates(routes):
        for app in _layers(getattr(route, "app", None)):
            if isinstance(app, asgi.StiggGuardMiddleware):
                # Only its own: those further below are met on the way.
                yield from asgi.StiggGuardMiddleware.owned_guards(app)
        yield from guards_below(getattr(route, "routes", None) or ())


def _layers(app: Any) -> Iterator[Any]:
    """An application and the middleware around it, as far as they are built yet."""
    while app is not None:
        yield app
        app = getattr(app, "middleware_stack", None) or getattr(app, "app", None)
