"""The routes of a Flask application and what their views need, for introspection.

How they are shown is `stigg_guard.routing`'s; what guards them lives in `views`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import MapAdapter
from werkzeug.routing import Rule as UrlRule

from stigg_guard.decorators import is_exempt, specs_of
from stigg_guard.guard import Guard
from stigg_guard.routing import (
    ANY,
    Asked,
    Endpoint,
    GuardedRoute,
    Handler,
    asked_of,
    guarded_routes,
    rulings,
)
from stigg_guard.rules import RouteName, Rule, examples
from stigg_guard.view import ViewSpec
from stigg_guard.wording import words_of
from stigg_guard_flask.blueprints import is_in_exempt_blueprint, needs_of_blueprints
from stigg_guard_flask.requests import NAME


def routes_of(app: Flask) -> Iterator[GuardedRoute]:
    """Every route of an application, guarded or not, in the order of its URL map."""
    return guarded_routes(endpoints_of(app), rulings(rules_of(app)))


def endpoints_of(app: Flask) -> Iterator[Endpoint]:
    """The routes before rules are looked at; without those that only redirect."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        view = app.view_functions.get(rule.endpoint)
        if view is not None:
            yield _endpoint(app, rule, view, adapter)


def specs_in(app: Flask) -> Iterator[ViewSpec]:
    """All that rules, blueprints, views and methods of classes ask for."""
    yield from (rule.spec for rule in rules_of(app))
    for function in chain(*app.before_request_funcs.values()):
        yield from specs_of(function)
    for rule in app.url_map.iter_rules():
        names = _blueprints(rule.endpoint)
        for method in rule.methods or ():
            needs = needs_of_blueprints(app, rule.endpoint, names, method)
            yield from (need.spec for need in needs)
    for view in app.view_functions.values():
        yield from specs_of(view)
        owner = getattr(view, "view_class", None)
        for method in ("dispatch_request", *(getattr(owner, "methods", None) or ())):
            yield from specs_of(getattr(owner, method.lower(), None))


def rules_of(app: Flask) -> Sequence[Rule]:
    """The URL rules of the application's StiggGuard; none without one."""
    guard = app.extensions.get(NAME)
    return guard.settings.rules if isinstance(guard, Guard) else ()


def _endpoint(app: Flask, rule: UrlRule, view: Any, adapter: MapAdapter) -> Endpoint:
    def is_at(path: str) -> bool:
        methods = rule.methods or {"GET"}
        try:
            found, _ = adapter.match(path, sorted(methods)[0], return_rule=True)
        except HTTPException:
            return False
        return found is rule

    return Endpoint(
        path=rule.rule,
        name=rule.endpoint,
        handlers={
            method: _handler(app, rule.endpoint, view, method)
            for method in sorted(rule.methods or {ANY})
        },
        examples=examples(rule.rule),
        route_name=RouteName(rule.endpoint, _blueprints(rule.endpoint)),
        is_at=is_at,
    )


def _blueprints(endpoint: str) -> tuple[str, ...]:
    """The blueprints of an endpoint, as `request.blueprints` has them."""
    names = endpoint.split(".")[:-1]
    return tuple(".".join(names[:end]) for end in range(len(names), 0, -1))


def _handler(app: Flask, endpoint: str, view: Any, method: str) -> Handler:
    names = _blueprints(endpoint)
    before = asked_of(*_before_request(app, names), source="before_request")
    free = is_exempt(view, method)
    needs = [] if free else needs_of_blueprints(app, endpoint, names, method)
    by_blueprints = [Asked(words_of(spec), f"blueprint {name}") for name, spec in needs]
    return Handler(
        asked=(*before, *by_blueprints, *_asked(view, method)),
        is_exempt=free or is_in_exempt_blueprint(app, names),
    )


def _before_request(app: Flask, names: Sequence[str]) -> Iterator[Any]:
    """The functions that come before a view, in their order."""
    for name in (None, *reversed(names)):
        yield from app.before_request_funcs.get(name, ())


def _asked(view: Any, method: str) -> tuple[Asked, ...]:
    """What a view asks for; of a class, also what its handler of the method does."""
    owner = getattr(view, "view_class", None)
    handler = getattr(owner, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(owner, "get", None)
    dispatch = getattr(owner, "dispatch_request", None)
    return asked_of(view, dispatch, handler)
