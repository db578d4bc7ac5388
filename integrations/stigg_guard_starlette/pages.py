"""The answer to a denied request for browsers and HTMX: a template, a fragment, a way.

What it says and where it leads is `stigg_guard.denial`'s; the templates are the
application's, as `Jinja2Templates`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from stigg_guard.denial import HTML_TYPE, Denial
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.exchange import header
from stigg_guard.guard import AsyncGuard
from stigg_guard.page import fragment
from stigg_guard.view import OnDenied, Template

PAGE: Final = "stigg_guard/402.html"
"""The page of every denial that the application has no other for, if it has this."""
FRAGMENT: Final = "stigg_guard/402_fragment.html"
"""What HTMX puts into a page in place of what it asked for."""

_WHOLE: Final = ("hx-boosted", "hx-history-restore-request")
"""Headers by which HTMX asks for what a browser would."""


async def denial_of(
    guard: AsyncGuard, error: AccessDenied, scope: Scope, templates: Any
) -> Denial:
    """The answer that the client understands.

    HTMX asks for a part of a page, whatever its Accept header says, and is told by a
    header of its own where to go: a browser follows a 303 behind its back.
    """
    if scope["type"] != "http":  # a handshake, whose answer nobody sees as a page
        return guard.denial(error, accept=header(scope, b"accept"))
    request = Request(scope)
    is_htmx = request.headers.get("hx-request") == "true"
    denial = guard.denial(
        error,
        accept="text/html" if is_htmx else header(scope, b"accept"),
        back=_way_back(request),
    )
    headers = {
        **denial.headers,
        "Vary": f"{denial.headers.get('Vary', 'Accept')}, HX-Request",
    }
    status = denial.status
    if is_htmx and "Location" in headers:
        headers["HX-Redirect"] = headers.pop("Location")
        status = guard.denials.status(error.decision, guard.wanted(error))
    denial = replace(denial, headers=headers, status=status)
    if denial.body and headers.get("Content-Type") == HTML_TYPE:
        return await _rendered(denial, error, request, templates, is_htmx=is_htmx)
    return denial


async def _rendered(
    denial: Denial,
    error: AccessDenied,
    request: Request,
    templates: Any,
    *,
    is_htmx: bool,
) -> Denial:
    is_fragment = is_htmx and not any(
        request.headers.get(name) == "true" for name in _WHOLE
    )
    default = FRAGMENT if is_fragment else PAGE
    name = denial.template or (default if _has(templates, default) else None)
    if name is None:
        body = fragment(denial.problem).encode() if is_fragment else denial.body
        return replace(denial, body=body)
    context = {
        "decision": error.decision,
        "problem": denial.problem,
        "is_fragment": is_fragment,
    }
    # In a thread: templates may ask what the customer has.
    response = await run_in_threadpool(
        templates.TemplateResponse, request, name, context
    )
    return replace(denial, body=bytes(response.body))


def _has(templates: Any, name: str) -> bool:
    if templates is None:
        return False
    from jinja2 import TemplateNotFound

    try:
        templates.get_template(name)
    except TemplateNotFound:
        return False
    return True


def check_templates(answers: Iterable[OnDenied | None], templates: Any) -> None:
    """Raise `ConfigurationError` for a template that there is not."""
    for answer in answers:
        if not isinstance(answer, Template):
            continue
        if templates is None:
            raise ConfigurationError(
                f'on_denied is "{answer.name}", but the middleware has no templates:'
                " StiggGuardMiddleware(..., templates=Jinja2Templates(...))"
            )
        if not _has(templates, answer.name):
            raise ConfigurationError(
                f'on_denied is "{answer.name}", which is not among the templates.'
            )


def _way_back(request: Request) -> str | None:
    """The path and query to come back to; nobody comes back to a POST."""
    if request.method not in ("GET", "HEAD"):
        return None
    url = request.url
    return f"{url.path}?{url.query}" if url.query else url.path
