"""stigg_guard for aiohttp: a complete adapter, on nothing but stigg_guard's own names.

What each part is for is told in docs/adapters.md. WebSockets are left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from stigg_guard import AccessDenied, AsyncGuard, Settings, Usage
from stigg_guard.decorators import Decorators, is_exempt
from stigg_guard.response_start import missing
from stigg_guard.rules import matching
from stigg_guard.steps import RequestScope
from stigg_guard.view import ViewSpec

GUARD = web.AppKey("stigg_guard", AsyncGuard)
_request_key: Any = getattr(web, "RequestKey", None)  # there since aiohttp 3.14
SCOPE: Any = "stigg_guard" if _request_key is None else _request_key("scope", object)


class StiggGuard:
    """Guards an aiohttp application: `StiggGuard(customer=customer_of).setup(app)`."""

    def __init__(self, **settings: object) -> None:
        self.guard = AsyncGuard(Settings.from_options(settings, owner="StiggGuard"))

    def setup(self, app: web.Application) -> None:
        """Take part in every request, and end with the application."""
        app[GUARD] = self.guard
        app.middlewares.append(self.middleware)
        app.on_response_prepare.append(self.settle)
        app.on_cleanup.append(self.close)

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Rules before the handler, denials in its place, the end of streams after."""
        scope = request[SCOPE] = scope_of(request)
        self.guard.begin()
        try:
            specs = self._ruled(request, handler)
            if specs and not scope.is_preflight:
                await self.guard.admit(specs, scope)
            response = await handler(request)
        except AccessDenied as error:
            await self.guard.settle(scope, None)
            scope.decisions.append(error.decision)
            return await self.answer(request, error)
        except web.HTTPException:
            raise  # an answer, judged by its status
        except BaseException:
            await self.guard.settle(scope, None)
            raise
        await self.guard.finish(scope, is_complete=True)
        return response

    def _ruled(self, request: web.Request, handler: Handler) -> tuple[ViewSpec, ...]:
        if is_exempt(handler, request.method):
            return ()
        resource = request.match_info.route.resource
        route = None if resource is None else resource.canonical
        rules = self.guard.settings.rules
        return matching(rules, request.method, request.path, route)

    async def settle(
        self, request: web.BaseRequest, response: web.StreamResponse
    ) -> None:
        """Report what was used, just before the response leaves."""
        assert isinstance(request, web.Request)
        scope = request.get(SCOPE)
        if scope is None:
            return  # a request that no middleware saw
        status = response.status
        await self.guard.settle(scope, status, response=response, is_streamed=True)
        wanted = self.guard.headers(scope)
        response.headers.update(missing(wanted, response.headers.items()))
        if not scope.streams:
            return
        if isinstance(response, web.Response):
            scope.sent(response.body)
            await self.guard.finish(scope, is_complete=True)
        else:
            measure(response, scope)

    async def answer(
        self, request: web.Request, error: AccessDenied
    ) -> web.StreamResponse:
        """The answer to a denied request: the application's own, or ours."""
        wanted = self.guard.wanted(error)
        if callable(wanted):
            own: Any = wanted(request, error.decision)
            if inspect.isawaitable(own):
                own = await own
            assert isinstance(own, web.StreamResponse)
            return own
        accept = request.headers.get(hdrs.ACCEPT)
        denial = self.guard.denial(error, accept=accept)
        return web.Response(
            status=denial.status, headers=denial.headers, body=denial.body
        )

    async def close(self, _app: web.Application) -> None:
        """Send what waits, and close the connections."""
        await self.guard.aclose()
        self.guard.sync.close()


def measure(response: web.StreamResponse, scope: RequestScope) -> None:
    """Have every chunk of a stream counted, once aiohttp has taken it."""
    write = response.write

    async def counted(data: Any) -> None:
        await write(data)
        scope.sent(bytes(data))

    response.write = counted  # type: ignore[method-assign]


def scope_of(request: web.Request) -> RequestScope:
    """What stigg_guard has to know of a request."""
    asks = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    return RequestScope(
        request=request,
        method=request.method,
        arguments=dict(request.match_info),
        is_preflight=request.method == hdrs.METH_OPTIONS and asks,
    )


def guard_from(request: web.Request) -> AsyncGuard:
    """The guard of the application."""
    return request.app[GUARD]


def usage_from(request: web.Request, feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that."""
    scope: RequestScope = request[SCOPE]
    return scope.usage(feature_id or "")


def wrap(
    view: Callable[[web.Request], Awaitable[Any]], specs: tuple[ViewSpec, ...]
) -> Handler:
    """A handler that is admitted first."""

    @wraps(view)
    async def guarded(request: web.Request) -> Any:
        scope = request[SCOPE]
        await guard_from(request).admit(specs, scope)
        scope.result = response = await view(request)
        return response

    return guarded


_decorators = Decorators(wrap)
requires_feature = _decorators.requires_feature
meters_usage = _decorators.meters_usage
requires_any = _decorators.requires_any
requires_all = _decorators.requires_all
