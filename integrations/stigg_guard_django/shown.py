"""How Django's templates come to the entitlements of their request.

The tags of Django's templates are in `templatetags`, those of Jinja in `jinja`; what
they show is a `stigg_guard.shown.ShownEntitlement`.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest

from stigg_guard_django.entitled import RequestEntitlements, entitlements_from


def of_context(context: Any, owner: str) -> RequestEntitlements:
    """The entitlements of the request that a template is rendered for."""
    request = getattr(context, "request", None)
    if request is None:
        request = context.get("request")
    if request is None:
        raise ImproperlyConfigured(
            f"{owner} has no request to ask for: render the template with"
            " render(request, ...), or with"
            " get_template(...).render(context, request)."
        )
    if not isinstance(getattr(request, "_request", request), HttpRequest):
        raise ImproperlyConfigured(
            f'{owner} finds {request!r} as "request"; name another variable otherwise.'
        )
    return entitlements_from(request)
