"""Who answers a denied request: the view, the application's handlers, or stigg_guard.

What the answer looks like when nobody else wants to is said in `pages`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from stigg_guard.errors import AccessDenied, StiggGuardError
from stigg_guard.view import Redirect, Template
from stigg_guard_flask.denied import DeniedRequest

Handler: TypeAlias = Callable[[Any], ResponseReturnValue]


def answer(denied: DeniedRequest) -> ResponseReturnValue:
    """The answer of who is nearest to the view.

    That is the view's own `on_denied`, then the `errorhandler` of `AccessDenied`, then
    that of the status, then ON_DENIED, then the `errorhandler` of `HTTPException`; of
    each a blueprint's before the application's. A handler of `Exception` is for what
    broke, and nothing did.
    """
    handler = _handler(denied)
    if handler is None:
        return denied.get_response()
    found: ResponseReturnValue = current_app.ensure_sync(handler)(denied)
    return found


def _handler(denied: DeniedRequest) -> Handler | None:
    if not denied.is_refusal or _makes_a_response(denied.on_denied):
        return None
    handler = _registered(None, (DeniedRequest, AccessDenied, StiggGuardError))
    handler = handler or _registered(denied.code, type(denied).__mro__)
    if handler is not None or _makes_a_response(denied.guard.settings.on_denied):
        return handler
    return _registered(None, (HTTPException,))


def _makes_a_response(on_denied: object) -> bool:
    """Whether it is an answer, and not the status of one."""
    return callable(on_denied) or isinstance(on_denied, Redirect | Template)


def _registered(code: int | None, classes: Iterable[type]) -> Handler | None:
    """The handler of a blueprint of this request, nearest first, or of the app."""
    app: Flask = current_app
    for name in (*request.blueprints, None):
        handlers: dict[Any, Any] = app.error_handler_spec.get(name, {}).get(code, {})
        for cls in classes:
            if cls in handlers:
                found: Handler = handlers[cls]
                return found
    return None
