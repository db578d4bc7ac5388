"""Everything a subject is entitled to, from one question to the sidecar.

How it is asked for is in `entitlements_flow`; a request's own, in `lazy_entitlements`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from stigg_guard.decision import Answer, Answers, Decision, Entitlement, Reason, Source
from stigg_guard.requirement import Fallback, Requirement
from stigg_guard.subject import Subject

_NOTHING: Final[Mapping[str, Answer]] = {}
_NO_FALLBACKS: Final[Mapping[str, Fallback]] = {}
_USED_UP: Final = frozenset(
    {
        Reason.REQUESTED_USAGE_EXCEEDING_LIMIT,
        Reason.BUDGET_EXCEEDED,
        Reason.INSUFFICIENT_CREDITS,
    }
)
_ABSENT: Final = Answer(has_access=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Entitlements(Mapping[str, Entitlement]):
    """A subject's entitlements by the id of their feature, or of their currency.

    A feature that no plan of the subject grants is absent; one that is used up is not.
    `subject` is None, and everything absent, where a request has no customer.
    `is_fallback` is True when no verdict of the sidecar stands behind them; then
    `source` says what does, as it does on a decision.

    While nothing is known, what FEATURES settles of a feature answers for it, and the
    application's policy for all others: under "allow" everything is had, without end.
    """

    subject: Subject | None
    reason: Reason | None = None
    """Why there are none at all, such as `CUSTOMER_NOT_FOUND`; None when there are."""
    source: Source = "sidecar"
    _answers: Mapping[str, Answer] = field(default_factory=lambda: _NOTHING)
    _fallbacks: Mapping[str, Fallback] = field(default_factory=lambda: _NO_FALLBACKS)
    _allows_unknown: bool = False

    @classmethod
    def of(cls, subject: Subject, answers: Answers) -> Entitlements:
        """What the sidecar said."""
        is_fallback = any(answer.is_fallback for answer in answers.by_id.values())
        return cls(
            subject=subject,
            reason=answers.reason,
            source="sidecar_fallback" if is_fallback else "sidecar",
            _answers={
                name: answer
                if _shows_amount(answer)
                else replace(answer, entitlement=None)
                for name, answer in answers.by_id.items()
            },
        )

    @classmethod
    def unknown(
        cls,
        subject: Subject,
        *,
        fallbacks: Mapping[str, Fallback],
        allows_unknown: bool,
    ) -> Entitlements:
        """What stands in when the sidecar says nothing and nothing is remembered."""
        return cls(
            subject=subject,
            reason=Reason.NO_VERDICT,
            source="policy",
            _answers={
                name: Answer(
                    has_access=fallback.has_access,
                    reason=None if fallback.has_access else Reason.NO_VERDICT,
                    is_fallback=True,
                    entitlement=_entitlement(fallback),
                )
                for name, fallback in fallbacks.items()
            },
            _fallbacks=fallbacks,
            _allows_unknown=allows_unknown,
        )

    @property
    def is_fallback(self) -> bool:
        """Whether no verdict of the sidecar stands behind them."""
        return self.source not in ("sidecar", "guard")

    def has(self, feature_id: str) -> bool:
        """Whether a check of the feature, without usage or values, would be allowed.

        For a metered feature or credits: whether something is left, or the limit is
        soft. The sidecar decides it, as it decides a check.
        """
        answer = self._answer(feature_id)
        return self._allows_unknown if answer is None else answer.has_access

    def value(self, feature_id: str) -> float:
        """The value of a numeric feature; the limit of a metered one or of credits.

        `math.inf` when it is unlimited; 0 when it is absent, was not granted, or is
        boolean or enum, which have no number.
        """
        answer = self._answer(feature_id)
        if answer is None or self._is_open(feature_id):
            return math.inf if self.has(feature_id) else 0.0
        return 0.0 if answer.entitlement is None else answer.entitlement.amount

    def remaining(self, feature_id: str) -> float:
        """Units of a metered feature, or credits, that may still be used; 0 or more.

        `math.inf` when it is unlimited or has a soft limit; 0 when there is no access,
        it is absent, or nothing is counted. Units that requests hold at this moment
        are not taken off.
        """
        answer = self._answer(feature_id)
        if answer is None or self._is_open(feature_id):
            return math.inf if self.has(feature_id) else 0.0
        if not answer.has_access or answer.entitlement is None:
            return 0.0
        return answer.entitlement.remaining

    def enum_values(self, feature_id: str) -> tuple[str, ...]:
        """The values of an enum feature; empty when it is absent or not granted."""
        answer = self._answer(feature_id)
        if answer is None or not answer.has_access or answer.entitlement is None:
            return ()
        return answer.entitlement.enum_values

    def decision(self, feature_id: str) -> Decision:
        """The decision that `has` rests on: why not, and the entitlement."""
        answer = self._answer(feature_id) or replace(
            _ABSENT, has_access=self._allows_unknown, reason=self._reason_for_absent
        )
        return Decision(
            allowed=answer.has_access,
            requirement=Requirement(feature_id=feature_id),
            subject=self.subject,
            reason=None if answer.has_access else answer.reason or Reason.UNSPECIFIED,
            reason_number=answer.reason_number or None,
            is_fallback=self.is_fallback,
            source=self._source_of(feature_id),
            entitlement=answer.entitlement,
        )

    def as_last_known(self) -> Entitlements:
        """The same, to stand in for an answer that did not come."""
        return replace(self, source="last_known")

    def __getitem__(self, feature_id: str) -> Entitlement:
        entitlement = self._answers[feature_id].entitlement
        if entitlement is None:
            raise KeyError(feature_id)
        return entitlement

    def __iter__(self) -> Iterator[str]:
        return (
            name
            for name, answer in self._answers.items()
            if answer.entitlement is not None
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Entitlements ({self.source}): {', '.join(self) or 'none'}>"

    @property
    def _reason_for_absent(self) -> Reason:
        return self.reason or Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION

    def _answer(self, feature_id: str) -> Answer | None:
        if not isinstance(feature_id, str) or not feature_id:
            raise ValueError(
                f"the feature id is {feature_id!r}; give the id of a feature or"
                ' currency as a non-empty string, such as "feature-01-templates".'
            )
        return self._answers.get(feature_id)

    def _is_open(self, feature_id: str) -> bool:
        """Whether a fallback gives access without saying how much."""
        fallback = self._fallbacks.get(feature_id)
        return fallback is not None and (
            fallback.is_unlimited
            or (fallback.value, fallback.usage_limit, fallback.enum_values)
            == (None, None, ())
        )

    def _source_of(self, feature_id: str) -> Source:
        return "fallback" if feature_id in self._fallbacks else self.source


def _shows_amount(answer: Answer) -> bool:
    """Whether an answer's entitlement is one: what was revoked is shown empty."""
    return answer.has_access or answer.reason in _USED_UP


def _entitlement(fallback: Fallback) -> Entitlement | None:
    """What a fallback says of a feature, as far as it says something."""
    if not fallback.has_access:
        return None
    if fallback.usage_limit is not None:
        return Entitlement(
            kind="metered",
            usage_limit=fallback.usage_limit,
            current_usage=0,
            is_unlimited=fallback.is_unlimited,
        )
    if fallback.value is not None:
        return Entitlement(
            kind="numeric", value=fallback.value, is_unlimited=fallback.is_unlimited
        )
    if fallback.enum_values:
        return Entitlement(kind="enum", enum_values=fallback.enum_values)
    return Entitlement(kind="boolean")


NO_CUSTOMER: Final = Entitlements(
    subject=None, reason=Reason.NO_CUSTOMER, source="guard"
)
"""What a request without a customer has: nothing."""


OFF: Final = Entitlements(
    subject=None, reason=Reason.NO_VERDICT, source="policy", _allows_unknown=True
)
"""What everybody has while the guard is switched off: all there is."""


def refused(subject: Subject) -> Entitlements:
    """What a subject has that the sidecar finds fault with: nothing."""
    return Entitlements(subject=subject, reason=Reason.UNKNOWN)
