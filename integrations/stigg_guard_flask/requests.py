"""The guard of the current application, and what is known of the current request.

What a guard does with them is in `extension`, `views` and `blueprints`.
"""

from __future__ import annotations

from typing import Final

from flask import Flask, current_app, request

from stigg_guard.decision import Decision
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.steps import RequestScope, Usage
from stigg_guard.view import ViewSpec
from stigg_guard_flask.denied import denied_request

NAME: Final = "stigg_guard"
"""The extension's key in `app.extensions`."""

_SCOPE: Final = "_stigg_guard_scope"


def guard_from(app: Flask | None = None) -> Guard:
    """The guard of an application; without one given, of the current application.

    Raises `ConfigurationError` when the application has no `StiggGuard`.
    """
    found = app or current_app
    if app is None and not current_app:
        raise ConfigurationError(
            "guard_from() was called outside of an application; give it the"
            " application, or call it within app.app_context()."
        )
    guard = found.extensions.get(NAME)
    if guard is None:
        raise ConfigurationError(
            f'the Flask application "{found.name}" has no StiggGuard; where it is made,'
            " add StiggGuard(customer=...).init_app(app)."
        )
    assert isinstance(guard, Guard)
    return guard


def usage_from(feature_id: str | None = None) -> Usage:
    """What this request uses; set its `value` to report that, whatever it was to be.

    With the id of a feature, or the name of an event, it is of that alone.
    """
    return current_scope().usage(feature_id or "")


def decision_from(feature_id: str | None = None) -> Decision | None:
    """What was decided of this request: of a feature or currency, or of all it needs.

    Of all, a denial in shadow mode comes first. None when nothing was asked.
    """
    return current_scope().decision(feature_id)


def admit(specs: tuple[ViewSpec, ...], scope: RequestScope) -> None:
    """Let the current request on, or raise `AccessDenied`, here an HTTP error."""
    guard = guard_from()
    try:
        guard.admit(specs, scope)
    except AccessDenied as error:
        raise denied_request(guard, error) from None


def current_scope() -> RequestScope:
    """The scope of the current request, made at first use."""
    scope = scope_so_far()
    if scope is None:
        scope = RequestScope(
            request=request,
            method=request.method,
            is_preflight=request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers,
        )
        setattr(request, _SCOPE, scope)
    return scope


def scope_so_far() -> RequestScope | None:
    """The scope of the current request, if it has one."""
    return getattr(request, _SCOPE, None)
