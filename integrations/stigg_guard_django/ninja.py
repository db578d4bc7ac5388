"""The decorators for operations of django-ninja, below `@api.get(...)` and its like.

They are those of `stigg_guard_django`, but that they know its signatures and answer a
denial before its exception handlers do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from inspect import Signature
from typing import Any

if find_spec("ninja") is None:
    raise ImportError(
        f"{__name__} needs ninja, which is not installed: pip install django-ninja"
    )

from django.http import HttpRequest
from ninja import NinjaAPI
from ninja.signature.utils import get_typed_annotation
from ninja.utils import contribute_operation_callback

from stigg_guard import AccessDenied
from stigg_guard.openapi import denied_responses
from stigg_guard.view import ViewSpec
from stigg_guard_django.guards import is_async
from stigg_guard_django.views import DjangoDecorators, request_among
from stigg_guard_django.views import guarded as guarded_view
from stigg_guard_django.visit import aanswer, answer, ask_anew, visit_of

__all__ = [
    "answer_denials",
    "meters_usage",
    "requires_all",
    "requires_any",
    "requires_feature",
]


def answer_denials(api: NinjaAPI) -> None:
    """Have an API answer denials of `guard.require` and of streamed operations, too.

    Without it the middleware does, but not with DEBUG: then django-ninja shows errors.
    """
    api.add_exception_handler(AccessDenied, _answer)


def _answer(request: HttpRequest, error: Any) -> Any:
    return answer(request, error)


def _guarded(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    operation = (_async if is_async(view) else _sync)(view, specs)
    operation.__signature__ = _signature(view)
    # A decorator below has contributed its own: the list is not to be shared.
    theirs = getattr(view, "_ninja_contribute_to_operation", ())
    operation._ninja_contribute_to_operation = [*theirs]
    contribute_operation_callback(operation, _documented(specs))
    return operation


def _sync(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    inner = guarded_view(_noticed(view), specs)
    is_streamed = inspect.isgeneratorfunction(view)

    @wraps(view)
    def operation(*args: Any, **kwargs: Any) -> Any:
        _know_user_of(request_among(args, kwargs))
        try:
            return inner(*args, **kwargs)
        except AccessDenied as error:
            if is_streamed:
                raise
            return answer(request_among(args, kwargs), error)

    return operation


def _async(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    inner = guarded_view(_anoticed(view), specs)

    @wraps(view)
    async def operation(*args: Any, **kwargs: Any) -> Any:
        _know_user_of(request_among(args, kwargs))
        try:
            return await inner(*args, **kwargs)
        except AccessDenied as error:
            return await aanswer(request_among(args, kwargs), error)

    return operation


def _know_user_of(request: HttpRequest) -> None:
    if hasattr(request, "auth"):  # which a middleware that asked before had not
        ask_anew(visit_of(request))


def _noticed(view: Callable[..., Any]) -> Any:
    """The view, whose errors are noticed before a handler makes responses of them."""

    @wraps(view)
    def noticed(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except Exception:
            visit_of(request_among(args, kwargs)).broke = True
            raise

    return noticed


def _anoticed(view: Callable[..., Any]) -> Any:
    @wraps(view)
    async def noticed(*args: Any, **kwargs: Any) -> Any:
        try:
            return await view(*args, **kwargs)
        except Exception:
            visit_of(request_among(args, kwargs)).broke = True
            raise

    return noticed


def _signature(view: Callable[..., Any]) -> Signature:
    """The view's signature; the names in it are looked up in its module, not here."""
    signature = inspect.signature(view)
    namespace = getattr(inspect.unwrap(view), "__globals__", {})
    parameters = [
        parameter.replace(annotation=get_typed_annotation(parameter, namespace))
        for parameter in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters)


def _documented(specs: tuple[ViewSpec, ...]) -> Callable[[Any], None]:
    """Let an operation tell of its denials, except where it tells of them itself."""

    def document(operation: Any) -> None:
        extra: dict[str, Any] = dict(operation.openapi_extra or {})
        own: dict[Any, Any] = extra.get("responses", {})
        known = {str(status) for status in (*own, *operation.response_models)}
        denials = {
            int(status): response
            for status, response in denied_responses(specs).items()
            if status not in known
        }
        operation.openapi_extra = {**extra, "responses": {**denials, **own}}

    return document


class _NinjaDecorators(DjangoDecorators):
    """Those of Django, which also know what cannot be guarded in an operation."""

    def decorator(self, name: str, spec: ViewSpec) -> Any:
        decorate = super().decorator(name, spec)

        def placed(view: Any) -> Any:
            if inspect.isasyncgenfunction(view):
                raise TypeError(
                    f"@{name} stands on {view.__name__}(), which streams by yielding"
                    " asynchronously; return a StreamingHttpResponse of what it yields."
                )
            return decorate(view)

        return placed


_decorators = _NinjaDecorators(_guarded)
requires_feature = _decorators.requires_feature
meters_usage = _decorators.meters_usage
requires_any = _decorators.requires_any
requires_all = _decorators.requires_all
