"""The user of an API, known before its view runs: for rules and guarded routes.

The view authenticates its user once more; how it does is its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from stigg_guard.decorators import Decorators
from stigg_guard.view import ViewSpec
from stigg_guard_django.views import guarded


def authenticate(
    request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
) -> HttpResponseBase | None:
    """Give the request the user that the view would find; None when it has one.

    Nobody is one too. Wrong credentials are answered as the view would answer them.
    """
    made: Any = view
    api: Any = made.cls(**made.initkwargs)
    api.request, api.args, api.kwargs = request, args, kwargs
    if hasattr(made, "actions"):
        api.action_map = made.actions
    api.request = api_request = api.initialize_request(request, *args, **kwargs)
    api.headers = api.default_response_headers
    try:
        api.perform_authentication(api_request)
    except Exception as error:
        answered = api.handle_exception(error)
        found: Any = api.finalize_response(api_request, answered, *args, **kwargs)
        return found.render() if hasattr(found, "render") else found  # type: ignore[no-any-return]  # a response
    return None


def _guarded_route(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    inner = guarded(view, specs)

    @wraps(view)
    def route(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refused = authenticate(request, view, args, kwargs)
        return inner(request, *args, **kwargs) if refused is None else refused

    return route


guarded_route = Decorators(_guarded_route).decorator
"""A decorator by name and spec of what `as_view()` made, for a URLconf."""
