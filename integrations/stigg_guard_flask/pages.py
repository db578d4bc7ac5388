"""The answer to a denied request as a Flask response: a page, a fragment, a problem.

What it says and where it leads is stigg_guard's; the templates are Flask's to find.
"""

from __future__ import annotations

from typing import Final

from flask import Response, current_app, render_template, request
from jinja2 import TemplateNotFound

from stigg_guard.denial import HTML_TYPE, Denial
from stigg_guard.errors import AccessDenied
from stigg_guard.guard import Guard

PAGE: Final = "stigg_guard/402.html"
"""The page of every denial that the application has no other for."""
FRAGMENT: Final = "stigg_guard/402_fragment.html"
"""What HTMX puts into a page in place of what it asked for."""


def response_of(guard: Guard, error: AccessDenied, status: int | None) -> Response:
    """The answer that the client understands; `status` is that of the denial.

    HTMX asks for a part of a page, whatever its Accept header says, and is told by a
    header of its own where to go: a browser follows a 303 behind its back.
    """
    accept = "text/html" if _is_htmx() else request.headers.get("Accept")
    denial = guard.denial(error, accept=accept, back=_way_back())
    body = denial.body
    if body and denial.headers.get("Content-Type") == HTML_TYPE:
        body = _rendered(denial, error)
    response = current_app.response_class(
        body, status=denial.status, headers=dict(denial.headers)
    )
    response.vary.add("HX-Request")
    if _is_htmx() and response.location is not None:
        response.headers["HX-Redirect"] = response.headers.pop("Location")
        response.status_code = status or denial.status
    return response


def _rendered(denial: Denial, error: AccessDenied) -> bytes:
    is_fragment = _is_htmx() and not _is_for_a_whole_page()
    about = {"decision": error.decision, "problem": denial.problem}
    if denial.template is not None:
        text = render_template(denial.template, is_fragment=is_fragment, **about)
        return text.encode()
    name = FRAGMENT if is_fragment else PAGE
    try:
        return render_template(name, is_fragment=is_fragment, **about).encode()
    except TemplateNotFound as missing:
        if missing.name != name:
            raise
        return denial.body  # the application has replaced the loader that finds ours


def _is_htmx() -> bool:
    return request.headers.get("HX-Request") == "true"


def _is_for_a_whole_page() -> bool:
    """Whether HTMX asks for what a browser would: a boosted link, or going back."""
    names = ("HX-Boosted", "HX-History-Restore-Request")
    return any(request.headers.get(name) == "true" for name in names)


def _way_back() -> str | None:
    """The path and query to come back to; nobody comes back to a POST."""
    if request.method not in ("GET", "HEAD"):
        return None
    path = request.script_root + request.path
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path
