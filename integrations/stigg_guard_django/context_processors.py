"""The context processor of Django's templates.

What its variable holds is `entitled`'s.
"""

from __future__ import annotations

from django.http import HttpRequest

from stigg_guard_django.entitled import RequestEntitlements, entitlements_from


def stigg(request: HttpRequest) -> dict[str, RequestEntitlements]:
    """`stigg` in every template is `request.stigg`; it asks when it is used."""
    return {"stigg": entitlements_from(request)}
