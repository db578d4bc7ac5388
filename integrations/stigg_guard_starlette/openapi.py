"""Denials in the OpenAPI document of a FastAPI application: a route class, a function.

How they look in it is said in `stigg_guard.openapi`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from stigg_guard import asgi
from stigg_guard.decorators import is_exempt, specs_of
from stigg_guard.openapi import SCHEMA_NAME, denied_responses, problem_schema
from stigg_guard.rules import Rule, examples
from stigg_guard.view import ViewSpec
from stigg_guard_starlette.mounted import candidates
from stigg_guard_starlette.placement import calls_of


class GuardedRoute(APIRoute):
    """A route that documents its denials: `APIRouter(route_class=GuardedRoute)`.

    It knows the guards on the endpoint, on the route and on its own router. Those of
    routers and applications around it, rules and settings are known to
    `document_denials`. What the route's `responses` say of a status stays.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Make the route as FastAPI does, and add the responses."""
        super().__init__(path, endpoint, **options)
        said = {str(status) for status in self.responses}
        for status, response in denied_responses(_specs_of(self)).items():
            if status not in said:
                self.responses[int(status)] = response


def document_denials(app: FastAPI) -> None:
    """Have the application's OpenAPI document tell what its guards may answer.

    Decorators, dependencies and rules are found wherever they stand, and so are the
    settings of the middleware. What is documented already stays as it is.
    """
    make = app.openapi

    @wraps(make)
    def openapi() -> dict[str, Any]:
        document = make()
        _document(app, document)
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _document(app: FastAPI, document: dict[str, Any]) -> None:
    guards = list(_middleware_of(app))
    rules = [rule for guard in guards for rule in guard.rules]
    for route, method, operation in _operations(app, document):
        specs = [*_specs_of(route), *_ruled(rules, route, method)]
        if not specs:
            continue
        responses = denied_responses(
            specs,
            guards[0].guard.denials if guards else None,
            on_denied=guards[0].guard.settings.on_denied if guards else None,
            schema={"$ref": f"#/components/schemas/{SCHEMA_NAME}"},
        )
        for status, response in responses.items():
            operation["responses"].setdefault(status, response)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.setdefault(SCHEMA_NAME, problem_schema())


def _middleware_of(app: FastAPI) -> Iterator[asgi.StiggGuardMiddleware]:
    """The application's guards as they will be: nothing is opened to read them."""
    for item in app.user_middleware:
        make: Any = item.cls
        if isinstance(make, type) and issubclass(make, asgi.StiggGuardMiddleware):
            options: dict[str, Any] = {**item.kwargs}
            yield make(_nowhere, *item.args, **options)


async def _nowhere(_scope: object, _receive: object, _send: object) -> None:
    """Stands for the application while only the settings are read."""


def _operations(
    app: FastAPI, document: dict[str, Any]
) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """The documented operations, with the route as it is served and the method."""
    paths: dict[str, Any] = document.get("paths", {})
    for route in candidates(app.routes):
        known = paths.get(getattr(route, "path_format", ""), {})
        if not getattr(route, "include_in_schema", False) or not _is_api(route):
            continue
        for method in getattr(route, "methods", None) or ():
            if method.lower() in known:
                yield route, method, known[method.lower()]


def _is_api(route: Any) -> bool:
    return isinstance(getattr(route, "original_route", route), APIRoute)


def _specs_of(route: Any) -> list[ViewSpec]:
    """What is asked before a route's endpoint runs, by decorators and dependencies."""
    calls = [_impartial(route.endpoint), *calls_of(route.dependant)]
    found = {id(spec): spec for call in calls for spec in specs_of(call)}
    return list(found.values())


def _impartial(endpoint: Any) -> Any:
    while isinstance(endpoint, partial):
        endpoint = endpoint.func
    return endpoint


def _ruled(rules: list[Rule], route: Any, method: str) -> Iterator[ViewSpec]:
    """What rules ask of requests to a route, or of some of them."""
    if is_exempt(route.endpoint):
        return
    for rule in rules:
        is_for_method = rule.methods is None or method in rule.methods
        if is_for_method and _is_for(rule, route):
            yield rule.spec


def _is_for(rule: Rule, route: Any) -> bool:
    if rule.path is None or rule.pattern is None:
        return False
    if rule.path == route.path:
        return True
    return any(map(rule.pattern.fullmatch, examples(route.path))) or any(
        map(route.path_regex.match, examples(rule.path))
    )
