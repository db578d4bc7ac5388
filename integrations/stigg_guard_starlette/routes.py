"""The routes of a Starlette or FastAPI application and what they need.

How they are shown is `stigg_guard.routing`'s; what guards them lives in `endpoints`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from starlette.routing import compile_path

from stigg_guard import asgi
from stigg_guard.routing import (
    ANY,
    WEBSOCKET,
    Asked,
    Endpoint,
    GuardedRoute,
    Handler,
    Ruling,
    asked_of,
    guarded_routes,
    rulings,
)
from stigg_guard.rules import Rule, examples
from stigg_guard_starlette.middleware import exempts
from stigg_guard_starlette.mounted import candidates

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


def routes_of(app: Any) -> Iterator[GuardedRoute]:
    """Every route of an application, guarded or not, in the order they are tried.

    Mounted applications and included routers are looked into; one that knows no
    routes, such as static files, is one row.
    """
    endpoints, rules = _explored(app)
    return guarded_routes(endpoints, rules)


def _explored(app: Any, prefix: str = "") -> tuple[list[Endpoint], list[Ruling]]:
    """The routes of an application at a prefix, and the rules around and in it."""
    own, app = _unwrapped(app)
    endpoints: list[Endpoint] = []
    rules = rulings(own, prefix=prefix)
    for found in candidates(getattr(app, "routes", ())):
        route: Any = found
        path = prefix + getattr(route, "path", "")
        if hasattr(route, "endpoint"):
            endpoints.append(_endpoint(path, route.name, _handlers(route)))
        elif callable(getattr(route, "app", None)):
            below, theirs = _explored(route.app, path)
            endpoints += below or [_foreign(path, route)]
            rules += theirs
    return endpoints, rules


def _unwrapped(app: Any) -> tuple[list[Rule], Any]:
    """The rules in an application's middleware, and what has the routes."""
    rules: list[Rule] = []
    while not hasattr(app, "routes") and hasattr(app, "app"):
        if isinstance(app, asgi.StiggGuardMiddleware):
            rules += app.rules
        app = app.app
    for item in getattr(app, "user_middleware", ()):
        middleware = item.cls
        if isinstance(middleware, type) and issubclass(
            middleware, asgi.StiggGuardMiddleware
        ):
            rules += middleware(_no_app, *item.args, **item.kwargs).rules
    return rules, app


async def _no_app(_scope: object, _receive: object, _send: object) -> None:
    """Stands for the application while only the settings are read."""


def _foreign(path: str, route: Any) -> Endpoint:
    """An application that is mounted and knows no routes."""
    name = getattr(route, "name", None)
    return _endpoint(f"{path}/{{path:path}}", name, {ANY: Handler()})


def _endpoint(path: str, name: str | None, handlers: Mapping[str, Handler]) -> Endpoint:
    pattern, _, _ = compile_path(path)
    return Endpoint(
        path=path,
        name=name or "",
        handlers=handlers,
        examples=examples(path),
        is_at=partial(_leads, pattern),
    )


def _leads(pattern: re.Pattern[str], path: str) -> bool:
    return pattern.match(path) is not None


def _handlers(route: Any) -> dict[str, Handler]:
    return {method: _handler(route, method) for method in _methods(route)}


def _methods(route: Any) -> tuple[str, ...]:
    """The methods that a route answers; a class says so by its own methods."""
    if getattr(route, "methods", None):
        return tuple(method for method in _METHODS if method in route.methods)
    if not hasattr(route, "methods"):
        return (WEBSOCKET,)
    own = tuple(name for name in _METHODS if hasattr(route.endpoint, name.lower()))
    return own or (ANY,)


def _handler(route: Any, method: str) -> Handler:
    endpoint = route.endpoint
    handlers = [getattr(endpoint, method.lower(), None)]
    if method == "HEAD" and handlers == [None]:
        handlers = [getattr(endpoint, "get", None)]
    if method == WEBSOCKET:
        handlers = [getattr(endpoint, name, None) for name in _OF_SOCKETS]
    needed = _depended(getattr(route, "dependant", None))
    return Handler(
        asked=(*needed, *asked_of(endpoint, *handlers)),
        is_exempt=exempts(endpoint, method),
    )


_OF_SOCKETS: Final = ("dispatch", "on_connect", "on_receive", "on_disconnect")


def _depended(dependant: Any) -> tuple[Asked, ...]:
    """What dependencies of FastAPI ask for: the route's, its routers', the app's.

    That which a decorator adds carries nothing: the endpoint does.
    """
    calls = [dependency.call for dependency in _dependencies(dependant)]
    return asked_of(*calls, source="dependency")


def _dependencies(dependant: Any) -> Iterator[Any]:
    for dependency in getattr(dependant, "dependencies", ()):
        yield from _dependencies(dependency)
        yield dependency
