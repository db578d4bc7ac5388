"""Where Revvenu meets the guard: who asks, and how a denial looks.

What the views need stands on the views, and in the rules of `settings`.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from example_project.revvenu.models import User
from example_project.revvenu.plans import NAMES
from stigg_guard import Decision, Denial, Entitlement, Reason
from stigg_guard_django import guard_from


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


def denied(request: HttpRequest, decision: Decision) -> HttpResponse:
    """The guard's own answer for programs, a page of Revvenu for people."""
    accept = request.META.get("HTTP_ACCEPT")
    denial = guard_from(request).denials.denial(decision, accept=accept)
    if not denial.headers["Content-Type"].startswith("text/html"):
        body, headers = denial.body, dict(denial.headers)
        return HttpResponse(body, status=denial.status, headers=headers)
    return _page(request, decision, denial)


def _page(request: HttpRequest, decision: Decision, denial: Denial) -> HttpResponse:
    title, detail = explain(decision)
    context = {
        "title": title,
        "detail": detail,
        "status": denial.status,
        "upgrade_url": denial.problem.get("upgrade_url"),
        "feature_id": decision.requirement.name,
    }
    response = render(request, "revvenu/denied.html", context, status=denial.status)
    for name, value in denial.headers.items():
        response.headers.setdefault(name, value)
    return response


def explain(decision: Decision) -> tuple[str, str]:
    """A headline and a sentence for the person who was denied."""
    feature = NAMES.get(decision.requirement.name, "This")
    match decision.reason:
        case Reason.CUSTOMER_IS_ARCHIVED:
            return (
                "This account is archived",
                "Its templates and campaigns are kept, but nothing can be changed or"
                " sent until the account is opened again.",
            )
        case Reason.NO_VERDICT:
            return (
                "We cannot check your plan just now",
                "Nothing is lost, and you were not charged. Please try again in a few"
                " seconds.",
            )
        case Reason.REQUESTED_USAGE_EXCEEDING_LIMIT:
            return (
                f"You have reached the limit of {feature.lower()}",
                _used(feature, decision.entitlement),
            )
        case Reason.VALUE_BELOW_REQUIRED:
            return (
                "Large files need a larger plan",
                _largest(decision.entitlement, decision.requirement.at_least),
            )
        case Reason.CUSTOMER_NOT_FOUND | Reason.NO_CUSTOMER:
            return "We do not know this account", "Please log in again."
        case _:
            return (
                f"{feature} is not part of your plan",
                "Another plan includes it, and everything you made so far moves along.",
            )


def _used(feature: str, entitlement: Entitlement | None) -> str:
    if entitlement is None or entitlement.usage_limit is None:
        return "Another plan has room for more."
    used, limit = entitlement.current_usage or 0, entitlement.usage_limit
    return (
        f"{used:g} of {limit:g} {feature.lower()} are in use. A larger plan has room"
        " for more."
    )


def _largest(entitlement: Entitlement | None, needed: float | None) -> str:
    if entitlement is None or entitlement.value is None or needed is None:
        return "Another plan takes larger files."
    return (
        f"Files here may have up to {needed:g} MB; your plan takes"
        f" {entitlement.value:g} MB."
    )
