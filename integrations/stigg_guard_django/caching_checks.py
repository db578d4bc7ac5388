"""What is told of caches that answer in place of a guard.

Guarded responses are marked as CACHE_CONTROL says, "private" unless told otherwise, and
Django's caches do not keep those: so they have to see the mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.core.checks import CheckMessage, Error
from django.middleware.cache import FetchFromCacheMiddleware

from stigg_guard import Settings
from stigg_guard.decorators import VIEW, specs_of
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import SETTING
from stigg_guard_django.middleware_checks import GUARD, OURS, index_of
from stigg_guard_django.routes import Route, kept

_UPDATE: Final = "django.middleware.cache.UpdateCacheMiddleware"


def cache_in_middleware(
    settings: Settings, specs: Sequence[ViewSpec]
) -> Iterator[CheckMessage]:
    """E005: Django's cache of the whole site where it keeps guarded responses.

    Decorators mark the responses of their views at once, rules when the middleware is
    done.
    """
    ours, cache = index_of(OURS), index_of(_UPDATE)
    if not specs or ours is None or cache is None:
        return
    if _is_unmarked(settings):
        yield Error(
            "UpdateCacheMiddleware is in MIDDLEWARE, and guarded responses are not"
            f" marked as private: {_told(settings)}. It answers customers who may not"
            " with what others got.",
            hint=f'Leave {SETTING}["CACHE_CONTROL"] out: it is "private" then.',
            id="stigg_guard.E005",
        )
    elif ours < cache and settings.rules:
        yield Error(
            "UpdateCacheMiddleware stands below StiggGuardMiddleware in MIDDLEWARE, so"
            " it keeps what rules guard before that is marked as private, and answers"
            " customers who may not with it.",
            hint=f'Move "{_UPDATE}" above "{GUARD}", to the top of MIDDLEWARE.',
            id="stigg_guard.E005",
        )


def caches_outside_guards(
    settings: Settings, routes: Iterable[Route]
) -> Iterator[CheckMessage]:
    """E006: `cache_page` above a guard, which then is asked only once."""
    if not _is_unmarked(settings):
        return
    for route in routes:
        if specs_of(route.view) and _is_cached_outside(route.view):
            yield Error(
                f"@cache_page stands above a guard on {route.view.__name__}, and"
                f" guarded responses are not marked as private: {_told(settings)}. What"
                " one customer was allowed is answered to all others.",
                hint="Write @cache_page below the guard, or leave"
                f' {SETTING}["CACHE_CONTROL"] out.',
                id="stigg_guard.E006",
            )


def _is_unmarked(settings: Settings) -> bool:
    # Older versions of Django 5.2 keep what is `no-store`.
    return "private" not in (settings.cache_control or "")


def _told(settings: Settings) -> str:
    return f'{SETTING}["CACHE_CONTROL"] is {settings.cache_control!r}'


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
