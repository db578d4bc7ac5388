"""`request.stigg`: what the customer of a request has, asked for when somebody looks.

How that is asked, once for all features, is `stigg_guard.lazy_entitlements`.
"""

from __future__ import annotations

import contextvars
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections
from django.http import HttpRequest

from stigg_guard.entitlements import Entitlements
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard_django.apps import project_guards
from stigg_guard_django.visit import Visit, visit_of

ATTRIBUTE = "stigg"


class RequestEntitlements(LazyEntitlements):
    """What the customer of a Django request has; `request.stigg`.

    In an async view, `await request.stigg.ahas("feature-01")` and its like. What a
    template asks there holds up the event loop, unless something was awaited before:
    `await request.stigg.aentitlements()`.
    """

    __slots__ = ()

    @property
    def entitlements(self) -> Entitlements:
        """All of them, by the id of their feature or currency."""
        try:
            return super().entitlements
        except SynchronousOnlyOperation:
            # CUSTOMER asks the database, and a template is rendered on an event loop.
            return _in_a_thread(lambda: super(RequestEntitlements, self).entitlements)


class StiggRequest(HttpRequest):
    """A request behind `StiggGuardMiddleware`, for annotations of views."""

    stigg: RequestEntitlements


def entitlements_from(request: Any) -> RequestEntitlements:
    """What the customer of this request has; `request.stigg`, also without middleware.

    Takes the requests of Django REST framework too.
    """
    own: HttpRequest = getattr(request, "_request", request)
    if hasattr(request, "parser_context"):  # of Django REST framework
        _know_user_of(request)
    found = own.__dict__.get(ATTRIBUTE)
    if not isinstance(found, RequestEntitlements):
        found = own.__dict__[ATTRIBUTE] = _of(own)
    return found


def _know_user_of(request: Any) -> None:
    """Have CUSTOMER asked anew if it was before the API knew its user."""
    from stigg_guard_django.drf.entry import visit_in_api

    visit_in_api(request)


def _of(request: HttpRequest) -> RequestEntitlements:
    kept = weakref.ref(request)  # which has these: a cycle would keep both

    def scope() -> Visit:
        request = kept()
        if request is None:
            raise RuntimeError("these entitlements are of a request that is over")
        _keep_uncached(request)
        return visit_of(request)

    return RequestEntitlements(project_guards().for_async_view(request), scope)


def _keep_uncached(request: HttpRequest) -> None:
    """Have Django's own caches not keep a page that shows what its customer has.

    `cache_page` sees the response before the middleware marks it as private.
    """
    if project_guards().sync.settings.cache_control is not None:
        request.__dict__["_cache_update_cache"] = False


def _in_a_thread(ask: Any) -> Entitlements:
    def asked() -> Entitlements:
        try:
            return ask()  # type: ignore[no-any-return]
        finally:
            connections.close_all()

    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(context.run, asked).result()
