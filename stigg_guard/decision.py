"""What was decided about a requirement, why, and the entitlement it rests on.

How a denied decision looks over HTTP lives in `denial`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

from stigg_guard.requirement import Requirement
from stigg_guard.subject import Subject

Kind: TypeAlias = Literal["boolean", "numeric", "metered", "enum", "credit"]
Source: TypeAlias = Literal[
    "sidecar", "sidecar_fallback", "last_known", "fallback", "policy", "guard", "holds"
]


_EXPLANATION: Final = re.compile(r"(.+): denied, ([A-Z_]+)(?: (\d+))? \((\w+)\)")


class Reason(StrEnum):
    """Why access was denied: the sidecar's reasons and some of our own.

    The names are those of the protocol's `AccessDeniedReason` without its prefix. A
    number that is not known yet is `UNKNOWN`, with the number on the decision.
    """

    UNSPECIFIED = "UNSPECIFIED"
    UNKNOWN = "UNKNOWN"
    CUSTOMER_IS_ARCHIVED = "CUSTOMER_IS_ARCHIVED"
    CUSTOMER_NOT_FOUND = "CUSTOMER_NOT_FOUND"
    CUSTOMER_RESOURCE_NOT_FOUND = "CUSTOMER_RESOURCE_NOT_FOUND"
    FEATURE_NOT_FOUND = "FEATURE_NOT_FOUND"
    NO_ACTIVE_SUBSCRIPTION = "NO_ACTIVE_SUBSCRIPTION"
    NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    REQUESTED_USAGE_EXCEEDING_LIMIT = "REQUESTED_USAGE_EXCEEDING_LIMIT"
    BUDGET_EXCEEDED = "BUDGET_EXCEEDED"
    REQUESTED_VALUES_MISMATCH = "REQUESTED_VALUES_MISMATCH"
    FEATURE_TYPE_MISMATCH = "FEATURE_TYPE_MISMATCH"
    INSUFFICIENT_CREDITS = "INSUFFICIENT_CREDITS"
    REVOKED = "REVOKED"
    ENTITLEMENT_NOT_FOUND = "ENTITLEMENT_NOT_FOUND"

    VALUE_BELOW_REQUIRED = "VALUE_BELOW_REQUIRED"
    """Ours: a numeric feature's value is below `at_least`."""
    NO_CUSTOMER = "NO_CUSTOMER"
    """Ours: no customer could be resolved from the request."""
    PREFLIGHT = "PREFLIGHT"
    """Ours: a CORS preflight, which is answered without running the view."""
    NO_VERDICT = "NO_VERDICT"
    """Ours: the sidecar gave no verdict, and the policy is to deny."""


WITHIN_ENTITLEMENT: Final = frozenset(
    {
        Reason.REQUESTED_USAGE_EXCEEDING_LIMIT,
        Reason.BUDGET_EXCEEDED,
        Reason.INSUFFICIENT_CREDITS,
        Reason.NO_VERDICT,
    }
)
"""Denials of customers who are, or may be, entitled to the feature as such: the sidecar
takes a report of what they use. Of others it refuses one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What the customer is entitled to, as far as the sidecar said.

    Fields that do not belong to the kind are None, False or empty. `current_usage` and
    `usage_limit` are in the feature's units or, for credits, in credits; a metered
    feature without a limit has `usage_limit` None and `is_unlimited` True.
    """

    kind: Kind
    value: float | None = None
    is_unlimited: bool = False
    usage_limit: float | None = None
    current_usage: float | None = None
    has_soft_limit: bool = False
    enum_values: tuple[str, ...] = ()
    period_start: datetime | None = None
    resets_at: datetime | None = None

    @property
    def amount(self) -> float:
        """The value, or the limit of what is counted; infinite when unlimited.

        0 for boolean and enum entitlements, which have no number.
        """
        if self.is_unlimited or self._is_without_limit:
            return math.inf
        if self.kind == "numeric":
            return self.value or 0.0
        return self.usage_limit or 0.0

    @property
    def remaining(self) -> float:
        """Units or credits that may still be used, never below 0.

        Infinite when unlimited or when the limit is soft; 0 where nothing is counted.
        """
        if not self._is_counted:
            return 0.0
        if self.is_unlimited or self.has_soft_limit or self._is_without_limit:
            return math.inf
        return max(0.0, (self.usage_limit or 0.0) - (self.current_usage or 0.0))

    @property
    def _is_counted(self) -> bool:
        return self.kind in ("metered", "credit")

    @property
    def _is_without_limit(self) -> bool:
        return self._is_counted and self.usage_limit is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the sidecar said to a question."""

    has_access: bool
    reason: Reason | None = None
    reason_number: int = 0
    is_fallback: bool = False
    entitlement: Entitlement | None = None

    @property
    def is_verdict(self) -> bool:
        """False for a fallback of the sidecar that rests on nothing at all."""
        return not self.is_fallback or self.has_access or self.entitlement is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the sidecar said of all that a subject has, by feature or currency id.

    `reason` says why there is nothing at all, if it is the subject's.
    """

    by_id: Mapping[str, Answer]
    reason: Reason | None = None

    @property
    def is_verdict(self) -> bool:
        """False when the sidecar had nothing to say, which is not a denial."""
        return bool(self.by_id) or self.reason is not Reason.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAnswer:
    """The sidecar did not answer; `refused` when it found fault with this question.

    `may_have_arrived` is False when it certainly did not do what it was asked to.
    """

    cause: str
    refused: bool = False
    may_have_arrived: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a subject may, and why not.

    `reason` is None when allowed. `is_fallback` is True when no verdict of the sidecar
    stands behind the decision, and `source` says what does: `sidecar`,
    `sidecar_fallback`, `last_known`, `fallback` (the requirement's own), `policy` (the
    application's), `guard` (no question was asked: no customer, units given back, or
    the guard is switched off), or `holds` (the units that are left are held by other
    requests, or the hold store cannot be asked).

    With `is_shadow` it is denied, and what it is about goes on all the same because of
    shadow mode. A decision is true in a boolean context when that may go on: allowed,
    or denied in shadow mode.
    """

    allowed: bool
    requirement: Requirement
    subject: Subject | None
    reason: Reason | None = None
    reason_number: int | None = None
    is_fallback: bool = False
    source: Source = "sidecar"
    entitlement: Entitlement | None = None
    is_shadow: bool = False

    def __bool__(self) -> bool:
        return self.allowed or self.is_shadow

    @property
    def explanation(self) -> str:
        """One line for logs and errors; it never names the customer."""
        name = self.requirement.name
        if self.allowed:
            return f"{name}: allowed ({self.source})"
        number = f" {self.reason_number}" if self._has_unknown_number else ""
        return f"{name}: denied, {self.reason}{number} ({self.source})"

    @classmethod
    def from_explanation(cls, explanation: str) -> Decision:
        """The denial that an explanation tells of, without subject and entitlement.

        It is all that is left of an `AccessDenied` which was sent as JSON. Raises
        `ValueError` for any other text.
        """
        found = _EXPLANATION.fullmatch(explanation)
        if found is None:
            raise ValueError(f"{explanation!r} is not the explanation of a denial.")
        name, reason, number = found.group(1, 2, 3)
        source: Any = found[4]
        return cls(
            allowed=False,
            requirement=Requirement(feature_id=name),
            subject=None,
            reason=Reason(reason),
            reason_number=int(number) if number else None,
            is_fallback=source not in ("sidecar", "guard"),
            source=source,
        )

    @property
    def _has_unknown_number(self) -> bool:
        return self.reason is Reason.UNKNOWN and self.reason_number not in (None, 1)
