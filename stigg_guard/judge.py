"""How an answer of the sidecar, or its absence, becomes a decision.

Pure: what to ask and in which order lives in `flow`.
"""

from __future__ import annotations

from dataclasses import replace

from stigg_guard.decision import Answer, Decision, Entitlement, Reason, Source
from stigg_guard.requirement import Fallback, Policy, Requirement
from stigg_guard.subject import Subject


def judge(subject: Subject, requirement: Requirement, answer: Answer) -> Decision:
    """The decision that a verdict of the sidecar leads to."""
    reason = _reason(requirement, answer)
    return Decision(
        allowed=reason is None,
        requirement=requirement,
        subject=subject,
        reason=reason,
        reason_number=None if answer.has_access else answer.reason_number,
        is_fallback=answer.is_fallback,
        source="sidecar_fallback" if answer.is_fallback else "sidecar",
        entitlement=answer.entitlement,
    )


def _reason(requirement: Requirement, answer: Answer) -> Reason | None:
    entitlement = answer.entitlement
    metering = requirement.metering
    if metering is not None and metering.update == "set" and entitlement is not None:
        return _reason_for_total(requirement, answer, entitlement)
    if not answer.has_access:
        return answer.reason or Reason.UNSPECIFIED
    if entitlement is not None and not _fits(requirement, entitlement):
        return Reason.FEATURE_TYPE_MISMATCH
    if requirement.at_least is not None:
        return _reason_for_value(requirement.at_least, entitlement)
    return None


def _fits(requirement: Requirement, entitlement: Entitlement) -> bool:
    kind = entitlement.kind
    if requirement.metering is not None and kind != "metered":
        return False
    if requirement.usage is not None and kind not in ("metered", "credit"):
        return False
    if requirement.values and kind != "enum":
        return False
    return requirement.at_least is None or kind == "numeric"


def _reason_for_value(
    at_least: float, entitlement: Entitlement | None
) -> Reason | None:
    if entitlement is None:
        return Reason.FEATURE_TYPE_MISMATCH
    if entitlement.is_unlimited:
        return None
    if entitlement.value is None or entitlement.value < at_least:
        return Reason.VALUE_BELOW_REQUIRED
    return None


def _reason_for_total(
    requirement: Requirement, answer: Answer, entitlement: Entitlement
) -> Reason | None:
    """A new total is compared with the limit here: the sidecar judges additions."""
    over_limit = Reason.REQUESTED_USAGE_EXCEEDING_LIMIT
    if not answer.has_access and answer.reason is not over_limit:
        return answer.reason or Reason.UNSPECIFIED
    if entitlement.kind != "metered":
        return Reason.FEATURE_TYPE_MISMATCH
    limit = entitlement.usage_limit
    if entitlement.is_unlimited or entitlement.has_soft_limit or limit is None:
        return None if answer.has_access else answer.reason
    return None if (requirement.usage or 0) <= limit else over_limit


def fall_back(
    subject: Subject,
    requirement: Requirement,
    *,
    last_known: Decision | None,
    fallback: Fallback | None,
    policy: Policy,
) -> Decision:
    """The decision without a verdict: last known, else fallback, else the policy."""
    if last_known is not None:
        return replace(
            last_known, requirement=requirement, is_fallback=True, source="last_known"
        )
    if fallback is not None:
        allowed = _fallback_allows(requirement, fallback)
        return _stand_in(subject, requirement, allowed=allowed, source="fallback")
    return _stand_in(subject, requirement, allowed=policy == "allow", source="policy")


def _fallback_allows(requirement: Requirement, fallback: Fallback) -> bool:
    if not fallback.has_access or fallback.is_unlimited:
        return fallback.has_access
    if requirement.at_least is not None and fallback.value is not None:
        return fallback.value >= requirement.at_least
    if requirement.usage is not None and fallback.usage_limit is not None:
        return requirement.usage <= fallback.usage_limit
    if requirement.values and fallback.enum_values:
        return set(requirement.values) <= set(fallback.enum_values)
    return True


def _stand_in(
    subject: Subject, requirement: Requirement, *, allowed: bool, source: Source
) -> Decision:
    return Decision(
        allowed=allowed,
        requirement=requirement,
        subject=subject,
        reason=None if allowed else Reason.NO_VERDICT,
        is_fallback=True,
        source=source,
    )
