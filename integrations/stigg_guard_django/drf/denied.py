"""A denied request as Django REST framework knows errors, and how it is answered.

Its handlers and renderers make the answer; the words and headers are the guard's.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.http import HttpRequest
from rest_framework import views
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response

from stigg_guard import AccessDenied
from stigg_guard.denial import PROBLEM_TYPE, Denial, prefers_html
from stigg_guard.response_start import missing
from stigg_guard.view import Redirect, Template
from stigg_guard_django.apps import project_guards
from stigg_guard_django.visit import answer, visit_of


class APIAccessDenied(AccessDenied, APIException):
    """The customer may not do this; any exception handler can answer it.

    `status_code` is that of the denial, `detail` its problem document (RFC 9457).
    """

    detail: Any

    def __init__(self, error: AccessDenied, denial: Denial, challenge: str) -> None:
        super().__init__(error.decision, error.on_denied, error.own_message)
        self.denials = error.denials
        self.status_code = denial.status
        self.detail = dict(denial.problem) if denial.status >= 400 else {}
        self.headers = {k: v for k, v in denial.headers.items() if k != "Content-Type"}
        # What the framework's own handler makes headers of.
        if "Retry-After" in self.headers:
            self.wait = int(self.headers["Retry-After"])
        if "WWW-Authenticate" in self.headers:
            self.auth_header = challenge or self.headers["WWW-Authenticate"]
            self.headers["WWW-Authenticate"] = self.auth_header

    def __str__(self) -> str:
        return self.decision.explanation

    def get_codes(self) -> str:
        """The reason, such as "NO_ACTIVE_SUBSCRIPTION"."""
        return str(self.detail.get("reason", ""))

    def get_full_details(self) -> dict[str, str]:  # type: ignore[override]  # narrower
        """The sentence of the denial and its reason."""
        return {"message": str(self.detail.get("detail", "")), "code": self.get_codes()}


def denied(request: Request, error: AccessDenied) -> APIAccessDenied:
    """The error to raise in a view of the API.

    Whatever handles it there, the answer has the headers of a denial.
    """
    found = _as_api_error(request, error)
    view = _view_of(request)
    if view is not None:  # it lives for this request only
        view.handle_exception = partial(_handled, view.handle_exception, request, found)
    return found


def exception_handler(exc: Exception, context: dict[str, Any]) -> Any:
    """The framework's handler, which also answers denials: EXCEPTION_HANDLER.

    Those of `guard.require` too, and JSON is `application/problem+json`. A handler of
    your own can call it in place of the framework's.
    """
    if not isinstance(exc, AccessDenied):
        return views.exception_handler(exc, context)
    request: Request = context["request"]
    if not isinstance(exc, APIAccessDenied):
        if _has_own_answer(_http(request), exc):
            return answer(_http(request), exc)
        visit_of(_http(request)).decisions.append(exc.decision)
        exc = _as_api_error(request, exc)
    views.set_rollback()
    response = Response(exc.detail, status=exc.status_code, headers=exc.headers)
    renderer = getattr(request, "accepted_renderer", None)
    if getattr(renderer, "media_type", None) == "application/json":
        response.content_type = PROBLEM_TYPE
    return response


def _handled(handle: Any, request: Request, found: APIAccessDenied, exc: Any) -> Any:
    if exc is not found:
        return handle(exc)
    if _has_own_answer(_http(request), found):
        views.set_rollback()
        response: Any = answer(_http(request), found)
        response.exception = True
        return response
    visit_of(_http(request)).decisions.append(found.decision)
    response = handle(exc)
    for name, value in missing(found.headers, response.headers.items()).items():
        response.headers[name] = value
    return response


def _as_api_error(request: Request, error: AccessDenied) -> APIAccessDenied:
    denial = project_guards().sync.denial(error)
    view = _view_of(request)
    challenge = "" if view is None else view.get_authenticate_header(request)
    return APIAccessDenied(error, denial, challenge or "")


def _view_of(request: Request) -> Any:
    return (request.parser_context or {}).get("view")


def _has_own_answer(request: HttpRequest, error: AccessDenied) -> bool:
    """Whether the application makes the response, or a page for browsers."""
    wanted = project_guards().sync.wanted(error)
    if isinstance(wanted, Redirect | Template):
        return prefers_html(request.META.get("HTTP_ACCEPT"))
    return callable(wanted)


def _http(request: Request) -> HttpRequest:
    found: HttpRequest = request._request
    return found
