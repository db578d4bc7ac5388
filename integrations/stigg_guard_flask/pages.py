"""The answer to a denied request as a Flask response: a page, a fragment, a problem.

What it says and where it leads is stigg_guard's; what htmx wants is said in `htmx`.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

from flask import Response, current_app, render_template, request
from jinja2 import TemplateNotFound

from stigg_guard.denial import HTML_TYPE, Denial
from stigg_guard.errors import AccessDenied
from stigg_guard.guard import Guard
from stigg_guard_flask import htmx

_MEMBERS: Final = (
    *("title", "detail", "status", "reason", "feature_id", "currency_id"),
    *("requested_usage", "current_usage", "usage_limit", "upgrade_url"),
)


def response_of(guard: Guard, error: AccessDenied, status: int | None) -> Response:
    """The answer that the client understands; `status` is that of the denial."""
    accept = request.headers.get("Accept")
    if htmx.is_htmx() and "json" not in (accept or "").lower():
        accept = "text/html"  # it says that it takes anything
    denial = guard.denial(error, accept=accept, back=htmx.way_back())
    body = denial.body
    if body and denial.headers.get("Content-Type") == HTML_TYPE:
        body = _rendered(guard, error, denial)
    response = current_app.response_class(
        body, status=denial.status, headers=dict(denial.headers)
    )
    response.vary.add(htmx.REQUEST)
    if htmx.is_htmx() and response.location is not None:
        # A browser follows a redirect by itself, and htmx would show its target in a
        # part of the page.
        response.headers[htmx.REDIRECT] = response.headers.pop("Location")
        response.status_code = status or denial.status
    return response


def _rendered(guard: Guard, error: AccessDenied, denial: Denial) -> bytes:
    """The page from the application's template, or from ours."""
    names = _names(denial)
    try:
        text = render_template([*names], **_context(guard, error, denial))
    except TemplateNotFound as missing:
        if denial.template is not None or missing.name != names[-1]:
            raise
        return denial.body  # the application has replaced the loader that finds ours
    return text.encode()


def _names(denial: Denial) -> list[str]:
    ending = "_fragment" if htmx.wants_fragment() else ""
    if denial.template is None:
        names = (f"{denial.status}{ending}", f"denied{ending}")
        return [f"stigg_guard/{name}.html" for name in names]
    own = PurePosixPath(denial.template)
    fragment = str(own.with_name(f"{own.stem}{ending}{own.suffix}"))
    return [fragment, denial.template]


def _context(guard: Guard, error: AccessDenied, denial: Denial) -> dict[str, Any]:
    """What a template can show: the problem's members by their names, and more."""
    entitlement = error.decision.entitlement
    members = {name: _plain(value) for name, value in denial.problem.items()}
    return {
        **dict.fromkeys(_MEMBERS),
        **members,
        "resets_at": entitlement and entitlement.resets_at,
        "decision": error.decision,
        "problem": denial.problem,
        "next": htmx.way_back(),
        "login_url": _login_url(guard, denial),
    }


def _login_url(guard: Guard, denial: Denial) -> str | None:
    """Where to log in, for those of whom nobody knows who they are."""
    url, back = guard.settings.login_url, htmx.way_back()
    if url is None or denial.status != 401 or back is None:
        return url if denial.status == 401 else None
    return f"{url}{'&' if '?' in url else '?'}next={quote(back, safe='/')}"


def _plain(value: object) -> object:
    """A number as people write it: 6, not 6.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
