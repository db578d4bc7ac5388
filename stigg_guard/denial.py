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
from urllib.parse import quote

from stigg_guard.decision import Decision, Reason
from stigg_guard.page import page
from stigg_guard.requirement import Fallback, Policy

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
    no_customer: NoCustomer = "forbid"
    login_url: str | None = None
    retry_after: int = 5

    def status(
        self, decision: Decision, view: Mapping[Reason, int] | int | None
    ) -> int:
        """The view's status, else the feature's, the application's, the table's."""
        reason = decision.reason or Reason.UNSPECIFIED
        if isinstance(view, int):
            return view
        feature = self.features.get(decision.requirement.name)
        for overrides in (view, feature and feature.statuses, self.statuses):
            if overrides and reason in overrides:
                return overrides[reason]
        if reason is Reason.NO_CUSTOMER and self.no_customer != "forbid":
            return 401
        return TABLE[reason].status

    def problem(self, decision: Decision, status: int) -> dict[str, object]:
        """The problem document; members that have no value are left out."""
        reason = decision.reason or Reason.UNSPECIFIED
        row = TABLE[reason]
        requirement, entitlement = decision.requirement, decision.entitlement
        metered = entitlement is not None and entitlement.kind in ("metered", "credit")
        members: dict[str, object] = {
            "type": self.type_base + reason.lower().replace("_", "-"),
            "title": row.title,
            "status": status,
            "detail": row.detail,
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
        view: Mapping[Reason, int] | int | None = None,
    ) -> Denial:
        """The answer in the form that the client understands.

        `accept` is the request's Accept header; `view` the statuses a view asked for.
        """
        status = self.status(decision, view)
        problem = self.problem(decision, status)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(self.retry_after)
        if status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = 'Session realm="account"'
        location = self._location(decision, status)
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
        return Denial(status=status, headers=headers, body=body, problem=problem)

    def _upgrade_url(self, decision: Decision) -> str | None:
        feature = self.features.get(decision.requirement.name)
        return (feature and feature.upgrade_url) or self.upgrade_url

    def _location(self, decision: Decision, status: int) -> str | None:
        logs_in = self.no_customer == "login" and status == HTTPStatus.UNAUTHORIZED
        if decision.reason is Reason.NO_CUSTOMER and logs_in:
            return self.login_url
        if self.html == "redirect" and status == HTTPStatus.PAYMENT_REQUIRED:
            return self._upgrade_url(decision)
        return None


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
