"""How the guard enters a view of the API: with its request, whose user is known there.

What it asks there is said by permissions, throttles, decorators and viewsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from rest_framework.request import Request

from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import project_guards
from stigg_guard_django.settling import keep_private
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
