"""Who is exempt because they work here: a ready function for `exempt_when`.

When it is called is said in `stigg_guard.flow`.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest


def is_staff(request: HttpRequest) -> bool:
    """Whether the request is of an active member of the staff.

    For `EXEMPT_WHEN` in the settings and `exempt_when=` of a view, sync or async.
    """
    user: Any = getattr(request, "user", None)
    if user is None:
        raise ImproperlyConfigured(
            "stigg_guard_django.is_staff was asked about a request without a user; put"
            ' "django.contrib.auth.middleware.AuthenticationMiddleware" above'
            ' "stigg_guard_django.StiggGuardMiddleware" in MIDDLEWARE.'
        )
    return bool(user.is_active and user.is_staff)
