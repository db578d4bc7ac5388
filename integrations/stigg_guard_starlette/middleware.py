"""`StiggGuardMiddleware` for Starlette and FastAPI: the plain ASGI one, with requests.

What happens to a request lives in `stigg_guard.asgi`; where it will go, here.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from stigg_guard import asgi, exchange
from stigg_guard.decision import Decision
from stigg_guard.decorators import is_exempt
from stigg_guard.denial import Denial
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.rules import Rule
from stigg_guard.steps import Usage
from stigg_guard.view import CustomerResolver
from stigg_guard_starlette.handlers import answered, has_own
from stigg_guard_starlette.mounted import candidates, guards_below
from stigg_guard_starlette.pages import check_templates, denial_of
from stigg_guard_starlette.placement import check_routes, specs_below
from stigg_guard_starlette.webhooks import check_secrets

if TYPE_CHECKING:
    from starlette.templating import Jinja2Templates

_logger = logging.getLogger("stigg_guard")

_CORS_INSIDE: Final = (
    "CORSMiddleware stands inside of StiggGuardMiddleware, so browsers cannot read the"
    " denials of rules; put it before StiggGuardMiddleware in the list of middleware,"
    " or in FastAPI add it after."
)
_HANDLERS = "starlette.exception_handlers"
"""Where Starlette keeps the innermost application's handlers of errors, by type."""


def guard_from(request: HTTPConnection) -> AsyncGuard:
    """The application's guard; synchronous endpoints use its `sync`."""
    return exchange_of(request).guard


def usage_from(request: HTTPConnection, feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that, whatever it was to be.

    With the id of a feature, or the name of an event, it is of that alone.
    """
    return exchange_of(request).scope.usage(feature_id or "")


def decision_from(
    request: HTTPConnection, feature_id: str | None = None
) -> Decision | None:
    """What was decided of this request: of a feature or currency, or of all it needs.

    Of all, a denial in shadow mode comes first. None when nothing was asked.
    """
    return exchange_of(request).scope.decision(feature_id)


def exchange_of(request: HTTPConnection) -> exchange.Exchange:
    """The request's exchange; its application now knows how to answer a denial.

    Without this an application that is mounted would answer 500 before the denial
    reaches the middleware around it. A handler of the application's own wins.
    """
    found = exchange.exchange_of(request.scope)
    handlers, _ = request.scope.get(_HANDLERS, ({}, {}))
    if not has_own(handlers):
        handlers[AccessDenied] = answered
    return found


class StiggGuardMiddleware(asgi.StiggGuardMiddleware):
    """Guards a Starlette or FastAPI application; takes the settings by name.

    `customer` and the other functions of a request get an `HTTPConnection`, and in
    guarded endpoints the endpoint's own `Request` or `WebSocket`.
    """

    renders_templates = True

    def __init__(
        self,
        app: asgi.ASGIApp,
        /,
        *,
        templates: Jinja2Templates | None = None,
        guard: Guard | AsyncGuard | None = None,
        rules: Iterable[Rule | Mapping[str, Any]] = (),
        customer: CustomerResolver | str | None = None,
        **settings: object,
    ) -> None:
        """Take the settings, or a guard, and the application's `Jinja2Templates`."""
        if templates is not None and not hasattr(templates, "TemplateResponse"):
            raise ConfigurationError(
                f"StiggGuardMiddleware(templates=...) is {templates!r}; give it the"
                ' application\'s templates: Jinja2Templates("templates").'
            )
        self._templates = templates
        super().__init__(app, guard=guard, rules=rules, customer=customer, **settings)

    async def denial(self, error: AccessDenied, scope: asgi.Scope) -> Denial:
        """The answer to a denied request: for browsers and HTMX a template."""
        return await denial_of(self.guard, error, scope, self._templates)

    def connection(self, scope: asgi.Scope) -> HTTPConnection:
        """What the user's functions get for a request that no endpoint has seen yet."""
        return HTTPConnection(scope)

    def check(self) -> None:
        """Raise `ConfigurationError` for a guard that guards nothing in its place."""
        routes = _routes_of(self.app)
        check_routes(routes)
        check_secrets(routes, self.guard)
        specs = [*specs_below(routes), *(rule.spec for rule in self.rules)]
        answers = [spec.on_denied for spec in specs]
        check_templates([*answers, self.guard.settings.on_denied], self._templates)
        if self._rules and any(
            isinstance(app, CORSMiddleware) for app in _inside(self.app)
        ):
            _logger.warning(_CORS_INSIDE)

    def owned_guards(self) -> Iterator[AsyncGuard]:
        """Also those of mounted applications, which no server tells of its end."""
        yield from super().owned_guards()
        yield from guards_below(_routes_of(self.app))

    def is_exempt(self, scope: asgi.Scope) -> bool:
        """Whether the endpoint is exempt from rules; rules get its path parameters."""
        # A copy: routes may leave notes in the scope while they match.
        found = matched({**scope}, _routes_of(self.app))
        if found is None:
            return False
        scope["path_params"] = found["path_params"]
        return exempts(found["endpoint"], scope.get("method", "GET"))


def _routes_of(app: Any) -> Sequence[BaseRoute]:
    """The routes behind the middleware that stands between us and the router."""
    for inner in _inside(app):
        routes: Sequence[BaseRoute] | None = getattr(inner, "routes", None)
        if routes is not None:
            return routes
    return ()


def _inside(app: Any) -> Iterator[Any]:
    """An application's middleware from the outside in, and then its router."""
    while app is not None:
        yield app
        app = None if hasattr(app, "routes") else getattr(app, "app", None)


def matched(scope: Scope, routes: Iterable[BaseRoute]) -> Scope | None:
    """The scope as the endpoint will get it, None when there is no such endpoint."""
    for route in candidates(routes):
        match, child_scope = route.matches(scope)
        if match is Match.FULL:
            inner = {**scope, **child_scope}
            below = getattr(route, "routes", None)
            if below:
                return matched(inner, below)
            return inner if "endpoint" in inner else None
    return None


def exempts(endpoint: Any, method: str) -> bool:
    """Whether an endpoint, or its class's handler of the method, is exempt."""
    while isinstance(endpoint, functools.partial):
        endpoint = cast(Any, endpoint).func
    handler = getattr(endpoint, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(endpoint, "get", None)
    return is_exempt(endpoint) or is_exempt(handler)
