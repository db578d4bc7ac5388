"""How an application answers `AccessDenied` that was raised without the middleware.

The middleware answers what reaches it; what it says is `stigg_guard.exchange`'s.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp

from stigg_guard.errors import AccessDenied, StiggGuardError
from stigg_guard.exchange import KEY, Exchange
from stigg_guard.guard import AsyncGuard, Guard, checked_guard
from stigg_guard.steps import RequestScope
from stigg_guard_starlette.pages import denial_of

if TYPE_CHECKING:
    from starlette.templating import Jinja2Templates


def install_handlers(
    app: Starlette,
    *,
    guard: Guard | AsyncGuard | None = None,
    templates: Jinja2Templates | None = None,
) -> None:
    """Have the application answer `AccessDenied` wherever it comes from.

    Needed where no `StiggGuardMiddleware` stands around it, as when only
    `guard.require(...)` is used, and by mounted applications, which would answer 500
    before a denial reaches the middleware around them. `guard` says how denials look;
    a request that passed through the middleware is answered as that says. A handler of
    the application's own wins, whether it comes first or later.
    """
    if not has_own(app.exception_handlers):
        own = AsyncGuard()
        if guard is not None:
            own = checked_guard(guard, "install_handlers").aio
        handler: Any = partial(_answered, own, templates)
        app.add_exception_handler(AccessDenied, handler)


def has_own(handlers: Any) -> bool:
    """Whether there is a handler for denials already.

    One for `Exception` is for what broke: Starlette keeps it for errors that nobody
    else answers.
    """
    ours = (base for base in AccessDenied.__mro__ if issubclass(base, StiggGuardError))
    return any(base in handlers for base in ours)


async def answered(request: HTTPConnection, error: AccessDenied) -> ASGIApp:
    """The answer of a request that passed through the middleware."""
    found: Exchange = request.scope[KEY]
    found.scope.request = found.scope.request or request
    return partial(found.answer, error)


async def _answered(
    guard: AsyncGuard,
    templates: Jinja2Templates | None,
    request: HTTPConnection,
    error: Exception,
) -> ASGIApp:
    assert isinstance(error, AccessDenied)
    if KEY in request.scope:
        return await answered(request, error)
    exchange = Exchange(
        guard,
        RequestScope(request=request),
        lambda denied, scope: denial_of(guard, denied, scope, templates),
    )
    return partial(exchange.answer, error)
