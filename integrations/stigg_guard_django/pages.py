"""Denials as Django's responses: templates for people, also for those who use htmx.

What a denial says, and in which status, is `stigg_guard.denial`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.template.loader import select_template
from django.utils.cache import patch_vary_headers
from django.utils.html import format_html

from stigg_guard import AccessDenied, Guard
from stigg_guard.denial import HTML_TYPE, Denial
from stigg_guard_django import htmx


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A denial on its way to a client; `render` may ask the database, as pages do."""

    request: HttpRequest
    error: AccessDenied
    denial: Denial
    guard: Guard

    @classmethod
    def of(cls, guard: Guard, request: HttpRequest, error: AccessDenied) -> Page:
        """What this client is to be told."""
        accept = request.headers.get("Accept")
        if htmx.is_htmx(request) and "json" not in (accept or "").lower():
            accept = "text/html"  # it says that it takes anything
        back = htmx.page_of(request)
        denial = guard.denial(error, accept=accept, back=back)
        return cls(request=request, error=error, denial=denial, guard=guard)

    @property
    def is_rendered(self) -> bool:
        """Whether a template makes it."""
        return (
            self.denial.headers.get("Content-Type") == HTML_TYPE
            and "Location" not in self.denial.headers
        )

    def response(self) -> HttpResponse:
        """The response to send."""
        body = self.render() if self.is_rendered else self.denial.body
        status, headers = self.denial.status, dict(self.denial.headers)
        if "Location" in headers and htmx.is_htmx(self.request):
            # A browser follows a redirect by itself, and htmx would show its target in
            # a part of the page.
            status = int(str(self.denial.problem["status"]))
            headers[htmx.REDIRECT] = headers.pop("Location")
        is_head = self.request.method == "HEAD"
        response = HttpResponse(b"" if is_head else body, status=status)
        for name, value in headers.items():
            response.headers[name] = value
        response.headers["Content-Length"] = str(len(body))
        patch_vary_headers(response, [htmx.REQUEST])
        return response

    def render(self) -> bytes:
        """The page from the project's template, or from ours."""
        named = self.denial.template
        try:
            template = select_template(self._names(named))
        except TemplateDoesNotExist:
            if named is not None:
                raise
            return self._plain()  # no engine looks into the directories of apps
        body: str = template.render(self._context(), self.request)
        return body.encode()

    def _names(self, named: str | None) -> list[str]:
        is_fragment = htmx.wants_fragment(self.request)
        if named is not None:
            path = PurePosixPath(named)
            fragment = str(path.with_name(f"{path.stem}_fragment{path.suffix}"))
            return [fragment, named] if is_fragment else [named]
        ending = "_fragment.html" if is_fragment else ".html"
        return [
            f"stigg_guard/{self.denial.status}{ending}",
            f"stigg_guard/denied{ending}",
        ]

    def _plain(self) -> bytes:
        if not htmx.wants_fragment(self.request):
            return self.denial.body
        problem = self.denial.problem
        form = '<div role="alert"><p><strong>{}</strong></p><p>{}</p></div>'
        return format_html(form, problem["title"], problem["detail"]).encode()

    def _context(self) -> Mapping[str, Any]:
        problem, decision = self.denial.problem, self.error.decision
        entitlement = decision.entitlement
        return {
            **dict.fromkeys(_MEMBERS),
            **{name: _plain(value) for name, value in problem.items()},
            "resets_at": None if entitlement is None else entitlement.resets_at,
            "decision": decision,
            "problem": problem,
            "next": htmx.page_of(self.request),
            "login_url": self._login_url(),
        }

    def _login_url(self) -> str | None:
        """Where to log in, for those of whom nobody knows who they are."""
        url = self.guard.settings.login_url
        if url is None or self.denial.status != 401:
            return None
        back = quote(htmx.page_of(self.request), safe="/")
        return f"{url}{'&' if '?' in url else '?'}next={back}"


_MEMBERS = (
    *("title", "detail", "status", "reason", "feature_id", "currency_id"),
    *("requested_usage", "current_usage", "usage_limit", "upgrade_url"),
)


def _plain(value: object) -> object:
    """A number as people write it: 6, not 6.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
