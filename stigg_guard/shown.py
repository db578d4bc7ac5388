"""An entitlement as templates show it, with numbers as people write them.

What is known of it is in `entitlements`; how a template comes to it, in the adapters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import isinf

from stigg_guard.decision import Decision
from stigg_guard.lazy_entitlements import LazyEntitlements


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntitlement:
    """One feature of a customer; true where there is access.

    Numbers that have no end are None, and `is_unlimited` is true then. `reason` says
    why there is no access, such as `REQUESTED_USAGE_EXCEEDING_LIMIT`.
    """

    feature_id: str
    has_access: bool
    reason: str | None = None
    value: float | None = None
    limit: float | None = None
    used: float | None = None
    remaining: float | None = None
    is_unlimited: bool = False
    resets_at: datetime | None = None
    enum_values: tuple[str, ...] = ()
    is_fallback: bool = False

    def __bool__(self) -> bool:
        return self.has_access


def shown(found: LazyEntitlements, feature_id: str) -> ShownEntitlement:
    """A feature as templates show it."""
    entitlements = found.entitlements
    decision = entitlements.decision(feature_id)
    entitlement = decision.entitlement
    value = _number(entitlements.value(feature_id))
    return ShownEntitlement(
        feature_id=feature_id,
        has_access=decision.allowed,
        reason=_reason(decision),
        value=value,
        limit=None if entitlement is None else _number(entitlement.usage_limit),
        used=None if entitlement is None else _number(entitlement.current_usage),
        remaining=_number(entitlements.remaining(feature_id)),
        is_unlimited=isinf(entitlements.value(feature_id)),
        resets_at=None if entitlement is None else entitlement.resets_at,
        enum_values=entitlements.enum_values(feature_id),
        is_fallback=decision.is_fallback,
    )


def _reason(decision: Decision) -> str | None:
    return None if decision.reason is None else decision.reason.value


def _number(found: float | None) -> float | int | None:
    """A number as people write it: 6, not 6.0; None where it is infinite."""
    if found is None or isinf(found):
        return None
    return int(found) if found == int(found) else found
