"""The decorators for views of the API: below `@api_view`, on methods and on actions.

They are those of `stigg_guard_django`, but that the framework answers a denial.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from stigg_guard import AccessDenied
from stigg_guard.view import ViewSpec
from stigg_guard_django.drf.denied import APIAccessDenied, denied
from stigg_guard_django.drf.entry import api_request_among, visit_in_api
from stigg_guard_django.guards import is_async
from stigg_guard_django.views import DjangoDecorators
from stigg_guard_django.views import guarded as guarded_view


def guarded(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Any:
    """The view behind its guard; a denial is an error that the framework answers."""
    inner = guarded_view(view, specs)
    if is_async(view):
        return inner

    @wraps(view)
    def api_view(*args: Any, **kwargs: Any) -> Any:
        request = api_request_among(args, kwargs)
        if request is None:
            return inner(*args, **kwargs)
        visit_in_api(request)
        try:
            return inner(*args, **kwargs)
        except APIAccessDenied:
            raise
        except AccessDenied as error:
            raise denied(request, error) from None

    return api_view


_decorators = DjangoDecorators(guarded)
requires_feature = _decorators.requires_feature
meters_usage = _decorators.meters_usage
requires_any = _decorators.requires_any
requires_all = _decorators.requires_all
