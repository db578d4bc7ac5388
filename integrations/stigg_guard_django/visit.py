"""What the guard keeps on one Django request, and how a denied one is answered.

Which views are guarded lives in `views` and `middleware`.
"""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass
from typing import Any, Final

from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from stigg_guard import AccessDenied, Decision
from stigg_guard.steps import RequestScope, Usage
from stigg_guard_django.apps import project_guards
from stigg_guard_django.guards import call
from stigg_guard_django.pages import Page

KEY = "_stigg_guard"
_turn: Final = threading.Lock()


@dataclass(slots=True)
class Visit(RequestScope):
    """The scope of a Django request.

    `is_owned` says that somebody further out will settle it; `broke` that a view let an
    error out which nobody answered. A sync view under ASGI cannot be stopped: it runs
    on in its thread when the request is given up, and is settled there in the end.
    """

    is_owned: bool = False
    broke: bool = False
    running: int = 0
    is_given_up: bool = False

    def enter(self) -> None:
        """A sync view begins, in its thread."""
        with _turn:
            self.running += 1

    def exit(self) -> bool:
        """It has ended; whether the request was given up and is now its to settle."""
        with _turn:
            self.running -= 1
            return self.is_given_up and not self.running

    def give_up(self) -> bool:
        """The client has gone; whether no view is left that will settle."""
        with _turn:
            self.is_given_up = True
            return not self.running

    def outcome(self, response: object) -> int | None:
        """The status to settle with; None when the answer stands for a broken view.

        An error of the client, such as `Http404`, is an answer like any other. Django
        REST framework marks the responses that it makes of errors.
        """
        status: int | None = getattr(response, "status_code", None)
        broke = self.broke or getattr(response, "exception", False)
        if broke and status is not None and not 400 <= status < 500:
            return None
        return status


def visit_of(request: HttpRequest) -> Visit:
    """The one visit of a request; made when it is first asked for."""
    visit: Visit | None = request.__dict__.get(KEY)
    if visit is None:
        method = request.method or "GET"
        preflight = "HTTP_ACCESS_CONTROL_REQUEST_METHOD"
        visit = request.__dict__[KEY] = Visit(
            request=request,
            method=method,
            is_preflight=method == "OPTIONS" and preflight in request.META,
        )
    return visit


def ask_anew(visit: Visit) -> None:
    """Forget who asks: an API has come to know its user, who may be another one."""
    visit.subject, visit.subject_is_known, visit.is_exempt = None, False, None


def usage_from(request: HttpRequest, feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that, whatever it was to be.

    With the id of a feature, or the name of an event, it is of that alone. Takes the
    requests of Django REST framework too.
    """
    own: HttpRequest = getattr(request, "_request", request)
    return visit_of(own).usage(feature_id or "")


def decision_from(
    request: HttpRequest, feature_id: str | None = None
) -> Decision | None:
    """What was decided of this request: of a feature or currency, or of all it needs.

    Of all, a denial in shadow mode comes first. None when nothing was asked.
    """
    own: HttpRequest = getattr(request, "_request", request)
    return visit_of(own).decision(feature_id)


def leave(request: HttpRequest) -> None:
    """Forget the visit: it holds the request, which would else outlive its answer."""
    request.__dict__.pop(KEY, None)


def explain(request: HttpRequest, error: AccessDenied) -> None:
    """Note a denial that nobody answers, and say why where Django handles it."""
    visit_of(request).decisions.append(error.decision)
    if request.resolver_match is not None:
        error.add_note(
            "Nothing answers this denial: add"
            ' "stigg_guard_django.StiggGuardMiddleware" to MIDDLEWARE in the Django'
            " settings, below the authentication middleware."
        )


def answer(request: HttpRequest, error: AccessDenied) -> HttpResponseBase:
    """The response to a denied request, from sync code."""
    visit_of(request).decisions.append(error.decision)
    guard = project_guards().sync
    on_denied = guard.wanted(error)
    if not callable(on_denied):
        return Page.of(guard, request, error).response()
    found = on_denied(request, error.decision)
    if inspect.isawaitable(found):
        found = async_to_sync(_finish)(found)
    return _response(found, on_denied)


async def aanswer(request: HttpRequest, error: AccessDenied) -> HttpResponseBase:
    """The response to a denied request, from async code."""
    visit_of(request).decisions.append(error.decision)
    guard = project_guards().sync
    on_denied = guard.wanted(error)
    if callable(on_denied):
        return _response(await call(on_denied, request, error.decision), on_denied)
    page = Page.of(guard, request, error)
    if page.is_rendered:  # and its template may ask the database, who is logged in
        return await sync_to_async(page.response, thread_sensitive=True)()
    return page.response()


def _response(found: object, on_denied: object) -> HttpResponseBase:
    if isinstance(found, HttpResponseBase):
        return found
    raise TypeError(f"on_denied {on_denied!r} returned {found!r}; return a response.")


async def _finish(found: Any) -> Any:
    return await found
