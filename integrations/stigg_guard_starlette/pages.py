"""The answer to a denied request for browsers: a page, or for htmx a part of one.

What it says and where it leads is `stigg_guard.denial`'s; what htmx wants is said in
`htmx`; the templates are the application's, as `Jinja2Templates`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

from stigg_guard.denial import HTML_TYPE, Denial
from stigg_guard.errors import AccessDenied, ConfigurationError
from stigg_guard.exchange import header
from stigg_guard.guard import AsyncGuard
from stigg_guard.page import fragment
from stigg_guard.view import OnDenied, Template
from stigg_guard_starlette import htmx

if TYPE_CHECKING:
    from starlette.templating import Jinja2Templates

_MEMBERS: Final = (
    *("title", "detail", "status", "reason", "feature_id", "currency_id"),
    *("requested_usage", "current_usage", "usage_limit", "upgrade_url"),
)


async def denial_of(
    guard: AsyncGuard,
    error: AccessDenied,
    scope: Scope,
    templates: Jinja2Templates | None,
) -> Denial:
    """The answer that the client understands."""
    accept = header(scope, b"accept")
    if scope["type"] != "http":  # a handshake, whose answer nobody sees as a page
        return guard.denial(error, accept=accept)
    request = Request(scope)
    if htmx.is_htmx(request) and "json" not in (accept or "").lower():
        accept = "text/html"  # it says that it takes anything
    denial = guard.denial(error, accept=accept, back=htmx.way_back(request))
    headers, status = dict(denial.headers), denial.status
    headers["Vary"] = f"{headers.get('Vary', 'Accept')}, {htmx.REQUEST}"
    if "Location" in headers and htmx.is_htmx(request):
        # A browser follows a redirect by itself, and htmx would show its target in a
        # part of the page.
        headers[htmx.REDIRECT] = headers.pop("Location")
        status = int(str(denial.problem["status"]))
    body = denial.body
    if body and headers.get("Content-Type") == HTML_TYPE:
        body = await _rendered(guard, error, denial, request, templates)
    return replace(denial, headers=headers, status=status, body=body)


async def _rendered(
    guard: AsyncGuard,
    error: AccessDenied,
    denial: Denial,
    request: Request,
    templates: Jinja2Templates | None,
) -> bytes:
    """The page from the application's templates, or the plain one."""
    name = _found(templates, _names(denial, request))
    if templates is None or name is None:
        is_part = htmx.wants_fragment(request)
        return fragment(denial.problem).encode() if is_part else denial.body
    context = _context(guard, error, denial, request)
    # In a thread: templates may ask what the customer has.
    response = await run_in_threadpool(
        templates.TemplateResponse, request, name, context
    )
    return bytes(response.body)


def _names(denial: Denial, request: Request) -> list[str]:
    ending = "_fragment" if htmx.wants_fragment(request) else ""
    if denial.template is None:
        names = (f"{denial.status}{ending}", f"denied{ending}")
        return [f"stigg_guard/{name}.html" for name in names]
    own = PurePosixPath(denial.template)
    part = str(own.with_name(f"{own.stem}{ending}{own.suffix}"))
    return [part, denial.template]


def _found(templates: Jinja2Templates | None, names: Iterable[str]) -> str | None:
    """The first of the templates that there is."""
    if templates is None:
        return None
    from jinja2 import TemplateNotFound

    for name in names:
        try:
            templates.get_template(name)
        except TemplateNotFound as missing:
            if missing.name != name:
                raise  # it extends or includes one that there is not
        else:
            return name
    return None


def _context(
    guard: AsyncGuard, error: AccessDenied, denial: Denial, request: Request
) -> dict[str, Any]:
    """What a template can show: the problem's members by their names, and more."""
    entitlement = error.decision.entitlement
    members = {name: _plain(value) for name, value in denial.problem.items()}
    return {
        **dict.fromkeys(_MEMBERS),
        **members,
        "resets_at": entitlement and entitlement.resets_at,
        "decision": error.decision,
        "problem": denial.problem,
        "next": htmx.way_back(request),
        "login_url": _login_url(guard, denial, request),
    }


def _login_url(guard: AsyncGuard, denial: Denial, request: Request) -> str | None:
    """Where to log in, for those of whom nobody knows who they are."""
    url, back = guard.settings.login_url, htmx.way_back(request)
    if url is None or denial.status != HTTPStatus.UNAUTHORIZED:
        return None
    if back is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}next={quote(back, safe='/')}"


def _plain(value: object) -> object:
    """A number as people write it: 6, not 6.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_templates(
    answers: Iterable[OnDenied | None], templates: Jinja2Templates | None
) -> None:
    """Raise `ConfigurationError` for a template that there is not."""
    for answer in answers:
        if not isinstance(answer, Template):
            continue
        if templates is None:
            raise ConfigurationError(
                f'on_denied is "{answer.name}", but the middleware has no templates:'
                " StiggGuardMiddleware(..., templates=Jinja2Templates(...))"
            )
        if _found(templates, [answer.name]) is None:
            raise ConfigurationError(
                f'on_denied is "{answer.name}", which is not among the templates.'
            )
