"""How a denied decision looks over HTTP: status, headers and problem document.

The table of reasons is here and nowhere else; sending it is the adapters'.
Sources: RFC 9457 for the document, RFC 9110 section 12.5.1 for `Accept`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from stigg_guard.decision import Decision, Reason
from stigg_guard.page import page
from stigg_guard.requirement import Fallback, Policy
from stigg_guard.view import Answerer, Message, OnDenied, Redirect, Template

Wanted: TypeAlias = int | Answerer | Redirect | Template
"""What is to answer one denial."""

Html: TypeAlias = Literal["page", "redirect"]
NoCustomer: TypeAlias = Literal["forbid", "unauthorized", "login"]

PROBLEM_TYPE: Final = "application/problem+json"
HTML_TYPE: Final = "text/html; charset=utf-8"
DEFAULT_TYPE_BASE: Final = "urn:stigg-guard:denial:"


class Row(NamedTuple):
    """One line of the table: the status and the words for it."""

    status: int
    title: str
    detail: str


_UPGRADE: Final = "Upgrade to continue"

TABLE: Final[Mapping[Reason, Row]] = {
    Reason.NO_ACTIVE_SUBSCRIPTION: Row(
        402, _UPGRADE, "There is no active subscription."
    ),
    Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION: Row(
        402, _UPGRADE, "The current plan does not include this feature."
    ),
    Reason.ENTITLEMENT_NOT_FOUND: Row(
        402, _UPGRADE, "The current plan does not include this."
    ),
    Reason.REQUESTED_USAGE_EXCEEDING_LIMIT: Row(
        402, "Limit reached", "This would exceed the limit of the current plan."
    ),
    Reason.REQUESTED_VALUES_MISMATCH: Row(
        402, _UPGRADE, "The current plan does not include the requested values."
    ),
    Reason.BUDGET_EXCEEDED: Row(
        402, "Budget reached", "The budget of the subscription is used up."
    ),
    Reason.INSUFFICIENT_CREDITS: Row(
        402, "Not enough credits", "The credit balance does not cover this."
    ),
    Reason.VALUE_BELOW_REQUIRED: Row(
        402, _UPGRADE, "The current plan does not reach what this needs."
    ),
    Reason.CUSTOMER_IS_ARCHIVED: Row(
        403, "Account archived", "This account is archived."
    ),
    Reason.CUSTOMER_NOT_FOUND: Row(
        403, "Account unknown", "This account is not known to billing."
    ),
    Reason.CUSTOMER_RESOURCE_NOT_FOUND: Row(
        403, "Resource unknown", "This account has no such resource in billing."
    ),
    Reason.REVOKED: Row(403, "Access revoked", "Access to this was revoked."),
    Reason.UNKNOWN: Row(403, "Access denied", "Access to this was denied."),
    Reason.UNSPECIFIED: Row(403, "Access denied", "Access to this was denied."),
    Reason.FEATURE_NOT_FOUND: Row(
        403, "Not available", "This is not available at the moment."
    ),
    Reason.FEATURE_TYPE_MISMATCH: Row(
        403, "Not available", "This is not available at the moment."
    ),
    Reason.NO_CUSTOMER: Row(
        403, "No account", "This request does not belong to an account."
    ),
    Reason.PREFLIGHT: Row(200, "Preflight", "The view was not run."),
    Reason.NO_VERDICT: Row(
        503, "Try again shortly", "Access could not be checked just now."
    ),
}

MISCONFIGURED: Final = frozenset(
    {Reason.FEATURE_NOT_FOUND, Reason.FEATURE_TYPE_MISMATCH}
)
"""The deployment is wrong, not the customer: answered 403 and logged as an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """What an application settles for one feature; None or empty leaves it as it is."""

    statuses: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    status: int | None = None
    shadow: bool | None = None
    message: Message | None = None
    upgrade_url: str | None = None
    on_unavailable: Policy | None = None
    fallback: Fallback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """The answer to a denied request, for any framework to send."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: Mapping[str, object]
    template: str | None = None
    """The template that is to make the body, which is a plain page meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DenialPolicy:
    """The application's part in how denials look."""

    statuses: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    features: Mapping[str, FeatureSettings] = field(
        default_factory=dict[str, FeatureSettings]
    )
    type_base: str = DEFAULT_TYPE_BASE
    upgrade_url: str | None = None
    html: Html = "page"
    template: str | None = None
    no_customer: NoCustomer = "forbid"
    login_url: str | None = None
    retry_after: int = 5

    def status(self, decision: Decision, view: OnDenied | None) -> int:
        """The view's status, else the feature's, the application's, the table's."""
        reason = decision.reason or Reason.UNSPECIFIED
        nearest = self.nearest(decision, view)
        if isinstance(nearest, int):
            return nearest
        own = self._of_feature(decision)
        if own is not None:
            return own
        if reason in self.statuses:
            return self.statuses[reason]
        if reason is Reason.NO_CUSTOMER and self.no_customer != "forbid":
            return 401
        return TABLE[reason].status

    def nearest(self, decision: Decision, view: OnDenied | None) -> Wanted | None:
        """What the view wants for this decision, else the feature's status, if any."""
        if callable(view) or isinstance(view, int | Redirect | Template):
            return view
        assert not isinstance(view, str)  # it was read where it was written
        status = view.get(decision.reason or Reason.UNSPECIFIED) if view else None
        return self._of_feature(decision) if status is None else status

    def _of_feature(self, decision: Decision) -> int | None:
        feature = self.features.get(decision.requirement.name)
        if feature is None or decision.reason is None:
            return None
        return feature.statuses.get(decision.reason, feature.status)

    def message(self, decision: Decision, view: Message | None) -> str:
        """The view's sentence, else the feature's, else the table's.

        Theirs are about plans: they replace it where paying for more would help.
        """
        row = TABLE[decision.reason or Reason.UNSPECIFIED]
        if row.status != HTTPStatus.PAYMENT_REQUIRED:
            return row.detail
        feature = self.features.get(decision.requirement.name)
        return str(view or (feature and feature.message) or row.detail)

    def problem(
        self, decision: Decision, status: int, message: Message | None = None
    ) -> dict[str, object]:
        """The problem document; members that have no value are left out."""
        reason = decision.reason or Reason.UNSPECIFIED
        row = TABLE[reason]
        requirement, entitlement = decision.requirement, decision.entitlement
        metered = entitlement is not None and entitlement.kind in ("metered", "credit")
        members: dict[str, object] = {
            "type": self.type_base + reason.lower().replace("_", "-"),
            "title": row.title,
            "status": status,
            "detail": self.message(decision, message),
            "reason": reason.value,
            "feature_id": requirement.feature_id,
            "currency_id": requirement.currency_id,
            "requested_usage": requirement.usage,
        }
        if entitlement is not None and metered:
            members["current_usage"] = entitlement.current_usage
            members["usage_limit"] = entitlement.usage_limit
            resets_at = entitlement.resets_at
            members["resets_at"] = resets_at and resets_at.isoformat()
        if status == HTTPStatus.PAYMENT_REQUIRED:
            members["upgrade_url"] = self._upgrade_url(decision)
        return {name: value for name, value in members.items() if value is not None}

    def denial(
        self,
        decision: Decision,
        *,
        accept: str | None = None,
        view: OnDenied | None = None,
        message: Message | None = None,
        back: str | None = None,
    ) -> Denial:
        """The answer in the form that the client understands.

        `accept` is the request's Accept header, `view` what a view asked for in place
        of statuses and pages, `message` in place of the reason's sentence. `back` is
        the request's path and query, which a redirect then carries as `next`.
        """
        status = self.status(decision, view)
        problem = self.problem(decision, status, message)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(self.retry_after)
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Session realm="account"'
        location = self._location(decision, status, view, back)
        template: str | None = None
        if status < HTTPStatus.BAD_REQUEST:
            body = b""  # a preflight
        elif not prefers_html(accept):
            headers["Content-Type"] = PROBLEM_TYPE
            body = json.dumps(problem).encode()
        elif location is not None:
            status = HTTPStatus.SEE_OTHER.value
            headers |= {"Location": _ascii(location), "Content-Type": HTML_TYPE}
            body = b""
        else:
            headers["Content-Type"] = HTML_TYPE
            body = page(problem).encode()
            template = view.name if isinstance(view, Template) else self.template
        return Denial(
            status=status,
            headers=headers,
            body=body,
            problem=problem,
            template=template,
        )

    def _upgrade_url(self, decision: Decision) -> str | None:
        feature = self.features.get(decision.requirement.name)
        return (feature and feature.upgrade_url) or self.upgrade_url

    def _location(
        self,
        decision: Decision,
        status: int,
        view: OnDenied | None,
        back: str | None,
    ) -> str | None:
        """Where a browser goes: to log in, where the view says, or to upgrade.

        Without a verdict it goes nowhere: the customer may be entitled.
        """
        logs_in = self.no_customer == "login" and status == HTTPStatus.UNAUTHORIZED
        if decision.reason is Reason.NO_CUSTOMER and logs_in:
            return self.login_url and _with_next(self.login_url, back)
        if isinstance(view, Redirect):
            is_sent = decision.reason is not Reason.NO_VERDICT
            return _with_next(view.url, back) if is_sent else None
        if isinstance(view, Template):
            return None
        if self.html == "redirect" and status == HTTPStatus.PAYMENT_REQUIRED:
            return self._upgrade_url(decision)
        return None


def _with_next(url: str, back: str | None) -> str:
    """The URL with a way back, if it is one of this site and has none."""
    parts = urlsplit(url)
    if back is None or parts.netloc or "next" in parse_qs(parts.query):
        return url
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}next={quote(back, safe='/')}"))


def _ascii(url: str) -> str:
    """The URL as a header may carry it: what is not ASCII is percent-encoded."""
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~")


def prefers_html(accept: str | None) -> bool:
    """Whether a client would rather read HTML than JSON, as browsers say."""
    if not accept or "html" not in accept.lower():
        return False
    html = max(_quality(accept, "text/html"), _quality(accept, "application/xhtml+xml"))
    json_types = ("application/json", PROBLEM_TYPE)
    return html > 0 and html >= max(_quality(accept, name) for name in json_types)


def _quality(accept: str, name: str) -> float:
    """The quality of one media type that is named in full; wildcards do not count."""
    for item in accept.split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        if media_type == name:
            return _parameter_quality(parameters)
    return 0.0


def _parameter_quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0
