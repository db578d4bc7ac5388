"""What is told of caches that answer in place of a guard.

The guard marks its responses as CACHE_CONTROL says, "private" unless told otherwise;
who stands inside of it does not see that, and keeps them for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.core.checks import CheckMessage, Error
from django.middleware.cache import FetchFromCacheMiddleware

from stigg_guard.decorators import VIEW, specs_of
from stigg_guard.view import ViewSpec
from stigg_guard_django.middleware_checks import GUARD, OURS, index_of
from stigg_guard_django.routes import Route, kept

_UPDATE: Final = "django.middleware.cache.UpdateCacheMiddleware"


def cache_in_middleware(specs: Sequence[ViewSpec]) -> Iterator[CheckMessage]:
    """E005: Django's cache of the whole site inside of the guard."""
    ours, cache = index_of(OURS), index_of(_UPDATE)
    if specs and ours is not None and cache is not None and ours < cache:
        yield Error(
            "UpdateCacheMiddleware stands below StiggGuardMiddleware in MIDDLEWARE, so"
            " it keeps responses before they are marked as private, and answers"
            " customers who may not with them.",
            hint=f'Move "{_UPDATE}" above "{GUARD}", to the top of MIDDLEWARE.',
            id="stigg_guard.E005",
        )


def caches_outside_guards(routes: Iterable[Route]) -> Iterator[CheckMessage]:
    """E006: `cache_page` above a guard, which then is asked only once."""
    for route in routes:
        if specs_of(route.view) and _is_cached_outside(route.view):
            yield Error(
                f"@cache_page stands above a guard on {route.view.__name__}: what one"
                " customer was allowed is answered to all others, too.",
                hint="Write @cache_page below the guard.",
                id="stigg_guard.E006",
            )


def _is_cached_outside(view: Any) -> bool:
    """Whether a cache is met on the way from a view to what is guarded."""
    guarded = getattr(view, VIEW, None)
    while view is not None and view is not guarded:
        if _is_cache(view):
            return True
        view = getattr(view, "__wrapped__", None)
    return False


def _is_cache(layer: Any) -> bool:
    """Whether it is the wrapper of `cache_page`, which keeps its middleware."""
    within = (layer, *kept(layer).values())
    found = (kept(function).get("middleware") for function in within)
    return any(isinstance(one, FetchFromCacheMiddleware) for one in found)
