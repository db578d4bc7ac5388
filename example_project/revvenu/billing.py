"""Who the customer of a request is: what the guard asks the application.

What views need stands on them, in `urls`, and in the rules of `settings`; how a denial
looks, in `templates/stigg_guard`.
"""

from __future__ import annotations

from django.http import HttpRequest

from example_project.revvenu.models import User


def customer_of(request: HttpRequest) -> str | None:
    """The customer a request acts for; an API client names it in a header.

    An application that is no demo would look up a token here.
    """
    if request.path_info.startswith("/api/"):
        return request.META.get("HTTP_X_CUSTOMER")
    return request.user.customer_id if isinstance(request.user, User) else None


def user_of(request: HttpRequest) -> User:
    """Who is logged in; the middleware lets nobody else through to the pages."""
    assert isinstance(request.user, User)
    return request.user
