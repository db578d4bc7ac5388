"""The decorators: a guarded view checks before it runs.

They stand on functions, on methods, and inside `method_decorator`. With the middleware
it settles usage and answers denials; a view that is called without it settles itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest

from stigg_guard import AccessDenied
from stigg_guard.decorators import EXEMPT, Decorators, View, check_view
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import project_guards
from stigg_guard_django.guards import is_async
from stigg_guard_django.placement import (
    refuse_dispatch,
    refuse_misplaced,
    refuse_no_view,
)
from stigg_guard_django.settling import (
    asettle,
    keep_private,
    settle,
    settle_given_up,
    settle_in_transaction,
)
from stigg_guard_django.visit import explain, visit_of


def guarded(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    """The view behind its guard, sync or async as it was."""
    return (_async if is_async(view) else _sync)(view, specs)


def _sync(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        return run(view, specs, *args, **kwargs)

    return guarded


def _async(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    @wraps(view)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        return await arun(view, specs, *args, **kwargs)

    return guarded


def run(
    view: Callable[..., Any],
    specs: tuple[ViewSpec, ...],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call a view once what it asks for is met; raises `AccessDenied`."""
    request = request_among(args, kwargs)
    visit = visit_of(request)
    visit.arguments = kwargs
    guard = project_guards().sync
    response = None
    if visit.is_owned:
        visit.enter()
        try:
            guard.admit(specs, visit)
            response = visit.result = view(*args, **kwargs)
            keep_private(guard, response)
            settle_in_transaction(guard, visit, response)
        finally:
            if visit.exit():
                settle_given_up(guard, request, visit, response)
        return response
    visit.is_owned = True
    try:
        guard.admit(specs, visit)
        response = view(*args, **kwargs)
    except AccessDenied as error:
        explain(request, error)
        raise
    finally:
        settle(guard, request, visit, response)
    return response


async def arun(
    view: Callable[..., Any],
    specs: tuple[ViewSpec, ...],
    /,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Call an async view as `run` does a sync one."""
    request = request_among(args, kwargs)
    visit = visit_of(request)
    visit.arguments = kwargs
    guard = project_guards().for_async_view(request)
    if visit.is_owned:
        await guard.admit(specs, visit)
        response = visit.result = await view(*args, **kwargs)
        keep_private(guard, response)
        return response
    visit.is_owned, response = True, None
    try:
        await guard.admit(specs, visit)
        response = await view(*args, **kwargs)
    except AccessDenied as error:
        explain(request, error)
        raise
    finally:
        await asettle(guard, request, visit, response)
    return response


def guard_exempt(view: View) -> View:
    """A view that rules and `guarded_path` leave alone; decorators on it still hold.

    It is another function, as Django's own decorators make one: in a URLconf it exempts
    that route, and no other of the same view.
    """
    check_view("guard_exempt", view)
    called: Any = view

    @wraps(view)
    def exempt(*args: Any, **kwargs: Any) -> Any:
        return called(*args, **kwargs)

    @wraps(view)
    async def aexempt(*args: Any, **kwargs: Any) -> Any:
        return await called(*args, **kwargs)

    found: Any = aexempt if is_async(view) else exempt
    setattr(found, EXEMPT, True)
    return cast("View", found)


def request_among(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> HttpRequest:
    """The request that a view was called with: its first argument, after `self`.

    Other methods of a view, such as `form_valid`, get none; `self` has it.
    """
    for found in (*args[:2], kwargs.get("request")):
        if isinstance(found, HttpRequest):
            if args and found is not args[0]:
                refuse_dispatch(args[0])
            return found
        wrapped = getattr(found, "_request", None)
        if isinstance(wrapped, HttpRequest):
            return wrapped
    own = getattr(args[0], "request", None) if args else None
    own = getattr(own, "_request", own)
    if isinstance(own, HttpRequest):
        return own
    raise TypeError(
        "a guarded view was called without a Django request; call it with an"
        " HttpRequest as its first argument."
    )


class DjangoDecorators(Decorators):
    """The decorators of Django, which also know where they must not stand."""

    def decorator(self, name: str, spec: ViewSpec) -> Callable[[View], View]:
        """A decorator that adds one spec, or says where it belongs."""
        decorate = super().decorator(name, spec)

        def placed(view: View) -> View:
            given: Any = view
            if isinstance(given, staticmethod | classmethod):
                method = cast("Any", given)
                return type(method)(placed(method.__func__))  # type: ignore[no-any-return]
            refuse_misplaced(name, view)
            refuse_no_view(name, view)
            return decorate(view)

        return placed


_decorators = DjangoDecorators(guarded)
decorator = _decorators.decorator
requires_feature = _decorators.requires_feature
meters_usage = _decorators.meters_usage
requires_any = _decorators.requires_any
requires_all = _decorators.requires_all
