"""What is told of the order in which Django asks: middleware, logins and guards.

When it is told is said in `checks`; caches are looked at in `caching_checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Error
from django.utils.module_loading import import_string

from stigg_guard.decorators import VIEW
from stigg_guard.view import ViewSpec
from stigg_guard_django.routes import Route

GUARD: Final = "stigg_guard_django.StiggGuardMiddleware"
OURS: Final = "stigg_guard_django.middleware.StiggGuardMiddleware"
_AUTHENTICATION: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
_CORS: Final = "corsheaders.middleware.CorsMiddleware"


def middleware_messages(specs: Sequence[ViewSpec]) -> Iterator[CheckMessage]:
    """E003, E004 and I001: the guard's middleware among the others."""
    ours = index_of(OURS)
    if ours is None:
        if specs:
            yield Error(
                "Views are guarded, but MIDDLEWARE has no StiggGuardMiddleware: denied"
                " requests end as server errors, and rules are not looked at.",
                hint=f'Add "{GUARD}" to MIDDLEWARE, below the authentication'
                " middleware.",
                id="stigg_guard.E003",
            )
        return
    authentication, cors = index_of(_AUTHENTICATION), index_of(_CORS)
    if authentication is not None and ours < authentication:
        yield Error(
            "StiggGuardMiddleware stands above AuthenticationMiddleware in MIDDLEWARE,"
            " so requests have no user when rules ask for the customer.",
            hint=f'Move "{GUARD}" below AuthenticationMiddleware.',
            id="stigg_guard.E004",
        )
    if cors is not None and ours < cors:
        yield checks.Info(
            "CorsMiddleware stands below StiggGuardMiddleware in MIDDLEWARE. Denials"
            " have their CORS headers all the same, since Django sends them through"
            " it; answers of what stands between them have none.",
            hint=f'Move "{_CORS}" to the top of MIDDLEWARE, as its authors advise.',
            id="stigg_guard.I001",
        )


def index_of(wanted: str) -> int | None:
    """Where a middleware, or a class that inherits from it, stands."""
    for index, dotted in enumerate(django_settings.MIDDLEWARE):
        try:
            found = import_string(dotted)
        except ImportError:
            continue
        if wanted in [f"{c.__module__}.{c.__qualname__}" for c in _bases_of(found)]:
            return index
    return None


def _bases_of(found: object) -> tuple[type, ...]:
    return found.__mro__ if isinstance(found, type) else ()


def guards_outside_logins(routes: Iterable[Route]) -> Iterator[CheckMessage]:
    """W003: decorators in the wrong order, so that visitors are denied unseen."""
    for route in routes:
        inner: Any = getattr(route.view, VIEW, None)
        if getattr(inner, "login_url", _MISSING) is not _MISSING:
            yield checks.Warning(
                f"A guard stands above @login_required on {inner.__name__}: a visitor"
                " who is not logged in is denied in place of being sent to log in.",
                hint="Write @login_required above the guard.",
                id="stigg_guard.W003",
            )


_MISSING: Final = object()
