"""The middleware: rules before the view, denials answered, usage settled at the end.

What decorators do lives in `views`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from stigg_guard import AccessDenied
from stigg_guard.decorators import is_exempt, specs_of
from stigg_guard.rules import matching
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import project_guards
from stigg_guard_django.entitled import entitlements_from
from stigg_guard_django.guards import is_async
from stigg_guard_django.placement import is_api_view
from stigg_guard_django.routes import route_name
from stigg_guard_django.settling import asettle, settle
from stigg_guard_django.visit import aanswer, answer, visit_of

GetResponse = Callable[[HttpRequest], Any]


class StiggGuardMiddleware:
    """Place it below the authentication middleware; it runs in Django's own mode.

    Under WSGI all of it is sync, under ASGI all of it is async, without a thread hop.
    Raises `ConfigurationError` when Django starts with settings that cannot be.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        project_guards()
        self._respond: Callable[[HttpRequest], Any] = self._settled
        self.process_view: Callable[..., Any] = self._by_rules
        if is_async(get_response):
            self._respond, self.process_view = self._asettled, self._aby_rules
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer the request; usage is reported before the response leaves."""
        visit_of(request).is_owned = True
        entitlements_from(request)
        project_guards().sync.begin()
        response: HttpResponseBase | Awaitable[HttpResponseBase]
        response = self._respond(request)
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer denied requests; Django calls it in sync code, under ASGI too."""
        if isinstance(exception, AccessDenied):
            return answer(request, exception)
        visit_of(request).broke = True
        return None

    def _settled(self, request: HttpRequest) -> HttpResponseBase:
        visit = visit_of(request)
        try:
            response: HttpResponseBase = self.get_response(request)
        except BaseException:
            settle(project_guards().sync, request, visit, None)
            raise
        settle(project_guards().sync, request, visit, response)
        return response

    async def _asettled(self, request: HttpRequest) -> HttpResponseBase:
        visit = visit_of(request)
        try:
            response: HttpResponseBase = await self.get_response(request)
        except asyncio.CancelledError:
            if visit.give_up():
                await asettle(project_guards().aio, request, visit, None)
            raise
        except BaseException:
            await asettle(project_guards().aio, request, visit, None)
            raise
        await asettle(project_guards().aio, request, visit, response)
        return response

    def _by_rules(
        self, request: HttpRequest, view: Callable[..., Any], *called_with: Any
    ) -> HttpResponseBase | None:
        visit_of(request).arguments = called_with[-1]
        guard, specs = project_guards().sync, _rules_of(request, view)
        guard.start((*specs, *specs_of(view)))  # outside of the view's transaction
        if specs and is_api_view(getattr(view, "cls", None)):
            refused = _authenticate(request, view, *called_with)
            if refused is not None:
                return refused
        try:
            if specs:
                guard.admit(specs, visit_of(request))
        except AccessDenied as error:
            return answer(request, error)
        return None

    async def _aby_rules(
        self, request: HttpRequest, view: Callable[..., Any], *called_with: Any
    ) -> HttpResponseBase | None:
        visit_of(request).arguments = called_with[-1]
        guard, specs = project_guards().aio, _rules_of(request, view)
        await guard.start((*specs, *specs_of(view)))
        if specs and is_api_view(getattr(view, "cls", None)):
            refused = await _aauthenticate(request, view, *called_with)
            if refused is not None:
                return refused
        try:
            if specs:
                await guard.admit(specs, visit_of(request))
        except AccessDenied as error:
            return await aanswer(request, error)
        return None


def _authenticate(
    request: HttpRequest, view: Callable[..., Any], *called_with: Any
) -> HttpResponseBase | None:
    """Make the user of an API known to rules, or answer wrong credentials."""
    from stigg_guard_django.drf.authentication import authenticate

    return authenticate(request, view, *called_with)


_aauthenticate = sync_to_async(_authenticate, thread_sensitive=True)


def _rules_of(request: HttpRequest, view: Callable[..., Any]) -> tuple[ViewSpec, ...]:
    rules = project_guards().sync.settings.rules
    if not rules or is_exempt(view, request.method):
        return ()
    match = request.resolver_match
    if match is None:
        return matching(rules, request.method or "GET", request.path_info)
    name = route_name(match.view_name, match.namespaces)
    route = f"/{match.route}"
    return matching(rules, request.method or "GET", request.path_info, route, name)
