"""How the guard enters a view of the API: with its request, whose user is known there.

What it asks there is said by permissions, throttles, decorators and viewsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import project_guards
from stigg_guard_django.settling import keep_private, settle_given_up
from stigg_guard_django.visit import Visit, ask_anew, visit_of


def visit_in_api(request: Request) -> Visit:
    """The visit of a request, whose functions are called with the API's request.

    Before the API knew its user, rules may have resolved another customer, or nobody.
    """
    visit = visit_of(request._request)
    if not isinstance(visit.request, Request):
        visit.request = request
        ask_anew(visit)
        visit.arguments = (request.parser_context or {}).get("kwargs") or {}
    return visit


def admit(request: Request, view: Any, spec: ViewSpec) -> None:
    """Let the request go on, or raise `AccessDenied`."""
    project_guards().sync.admit((spec,), visit_in_api(request))
    keep_from_caches(request, view)


def admit_to_its_end(request: Request, view: Any, spec: ViewSpec) -> None:
    """As `admit`; what the view uses is settled by itself if its client has gone.

    Under ASGI its thread cannot be stopped, so it counts by how it ends. An async view
    is stopped like any other task.
    """
    if getattr(view, "view_is_async", False) or not hasattr(view, "finalize_response"):
        admit(request, view, spec)
        return
    end = _End(visit_in_api(request), request._request)
    try:
        admit(request, view, spec)
    except BaseException:
        end.reached(None)
        raise
    view.finalize_response = partial(end.finalized, view.finalize_response)
    view.handle_exception = partial(end.handled, view.handle_exception)


class _End:
    """The end of a view of the API, by a response or by an error that it lets out."""

    def __init__(self, visit: Visit, request: HttpRequest) -> None:
        self._visit = visit
        self._request = request
        self._is_over = False
        visit.enter()

    def finalized(self, finalize: Any, *args: Any, **kwargs: Any) -> Any:
        response = None
        try:
            response = finalize(*args, **kwargs)
            return response
        finally:
            self.reached(response)

    def handled(self, handle: Any, error: Exception) -> Any:
        try:
            return handle(error)
        except BaseException:
            self.reached(None)
            raise

    def reached(self, response: Any) -> None:
        if self._is_over:
            return
        self._is_over = True
        visit = self._visit
        if visit.result is None:
            visit.result = response
        if visit.exit():
            guard = project_guards().sync
            settle_given_up(guard, self._request, visit, response)


def keep_from_caches(request: Request, view: Any) -> None:
    """Have the response marked as one that is not for everybody."""
    visit_of(request._request).is_personal = True
    if hasattr(view, "finalize_response"):
        # It lives for this request only; a cache around it is not to keep this.
        view.finalize_response = partial(_finalized, view.finalize_response)


def _finalized(finalize: Any, *args: Any, **kwargs: Any) -> Any:
    response = finalize(*args, **kwargs)
    keep_private(project_guards().sync, response)
    return response


def api_request_among(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """The API's request that a view was called with, after `self`; None without one."""
    for found in (*args[:2], kwargs.get("request")):
        if isinstance(found, Request):
            return found
    return None
