"""What somebody is entitled to, in words and as JSON.

Who is asked for it is in `check`, `entitlements` and `usage`.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from stigg_guard.commands.terminal import can_show
from stigg_guard.commands.words import age, units
from stigg_guard.decision import Decision, Entitlement, Source
from stigg_guard.subject import Subject


def amount(entitlement: Entitlement) -> str:
    """How much of it: `3 of 6 used, 3 left`."""
    if entitlement.kind == "enum":
        return ", ".join(entitlement.enum_values) or "no values"
    if entitlement.kind == "numeric":
        value = entitlement.value
        return "unlimited" if value is None else units(value)
    if entitlement.kind == "boolean":
        return "yes"
    return _used(entitlement)


def _used(entitlement: Entitlement) -> str:
    used, limit = entitlement.current_usage or 0, entitlement.usage_limit
    if entitlement.is_unlimited or limit is None:
        return f"{units(used)} used, unlimited"
    soft = ", soft limit" if entitlement.has_soft_limit else ""
    left = max(0.0, limit - used)
    return f"{units(used)} of {units(limit)} used, {units(left)} left{soft}"


def short_amount(entitlement: Entitlement) -> str:
    """The same in fewer words: `3 of 6`, `7 of 5, soft`, `40, unlimited`."""
    if entitlement.kind not in ("metered", "credit"):
        return amount(entitlement)
    used, limit = entitlement.current_usage or 0, entitlement.usage_limit
    if entitlement.is_unlimited or limit is None:
        return f"{units(used)}, unlimited"
    soft = ", soft" if entitlement.has_soft_limit else ""
    return f"{units(used)} of {units(limit)}{soft}"


def reset(entitlement: Entitlement) -> str:
    """When its usage begins anew: `in 3 d (2026-12-01T00:00:00+00:00)`, or nothing."""
    at = entitlement.resets_at
    if at is None:
        return ""
    left = (at - datetime.now(UTC)).total_seconds()
    return f"in {age(left)} ({at.isoformat()})"


def period_end(entitlement: Entitlement, *, is_dated: bool) -> str:
    """When its usage period ends: `2026-12-01 00:00 UTC, in 3 d`, or `in 3 d`."""
    at = entitlement.resets_at
    if at is None:
        return ""
    left = (at - datetime.now(UTC)).total_seconds()
    told = f"in {age(left)}" if left > 0 else "over"
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, {told}" if is_dated else told


def used_bar(entitlement: Entitlement, length: int) -> str:
    """A bar of what is used of a limit: `███░░░░░░░`; nothing without a limit.

    In ASCII where the output has no such signs.
    """
    limit = entitlement.usage_limit
    if limit is None or entitlement.is_unlimited or not length:
        return ""
    full, free = "█░" if can_show("█░") else "#-"
    part = (entitlement.current_usage or 0.0) / limit if limit > 0 else 1.0
    # Whatever is used shows, and only what is all used fills the bar.
    filled = min(length, max(0, int(part * length)))
    if filled == 0 and part > 0:
        filled = 1
    return full * filled + free * (length - filled)


def described(entitlement: Entitlement | None) -> str:
    """All of it in one line."""
    if entitlement is None:
        return "none"
    resets = reset(entitlement)
    told = f"{entitlement.kind}, {amount(entitlement)}"
    return f"{told}, resets {resets}" if resets else told


def entitlement_as_json(entitlement: Entitlement) -> dict[str, object]:
    """Its fields that have a value."""
    found = asdict(entitlement)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in found.items()
        if value is not None and value != () and value is not False
    }


def decision_as_json(decision: Decision) -> dict[str, object]:
    """What a decision says, without its customer."""
    entitlement = decision.entitlement
    return {
        "allowed": decision.allowed,
        "reason": decision.reason and decision.reason.value,
        "is_fallback": decision.is_fallback,
        "source": decision.source,
        "entitlement": entitlement and entitlement_as_json(entitlement),
    }


def subject_as_json(subject: Subject) -> dict[str, object]:
    """Who is asked about."""
    return {"customer_id": subject.customer_id, "resource_id": subject.resource_id}


def subject_in_words(subject: Subject) -> str:
    """Who is asked about: `customer-1, resource site-1`."""
    if subject.resource_id is None:
        return subject.customer_id
    return f"{subject.customer_id}, resource {subject.resource_id}"


def said_by(source: Source) -> str:
    """What stands behind a decision."""
    return _SPEAKERS[source]


_SPEAKERS: dict[Source, str] = {
    "sidecar": "the sidecar",
    "sidecar_fallback": "the sidecar, from its fallback",
    "last_known": "what was last known",
    "fallback": "the fallback in FEATURES: the sidecar gave no verdict",
    "policy": "ON_UNAVAILABLE: the sidecar gave no verdict",
    "guard": "the guard, without a question",
    "holds": "the holds of other requests",
}
