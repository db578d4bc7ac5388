"""The current customer's entitlements and usage, ready to be shown: one call.

How they are shown lives in the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from example_project.revvenu.plans import NAMES
from sidecar_client import (
    AccessDeniedReason,
    Entitlement,
    GetEntitlementsRequest,
    MeteredEntitlement,
    NumericEntitlement,
    StiggGuardError,
    SyncStigg,
)

_ARCHIVED: Final = AccessDeniedReason.ACCESS_DENIED_REASON_CUSTOMER_IS_ARCHIVED


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One feature: what the plan says of it, and how much of it is used."""

    feature_id: str
    name: str
    text: str
    included: bool = True
    used: float | None = None
    limit: float | None = None
    resets_at: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing is left."""
        return self.limit is not None and (self.used or 0) >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Every feature that Revvenu sells, or why there is nothing to show."""

    lines: tuple[Line, ...] = ()
    is_available: bool = True
    is_archived: bool = False


def panel(client: SyncStigg, customer_id: str) -> Panel:
    """What the sidecar says; it may be away, and then the page says that."""
    request = GetEntitlementsRequest(customer_id=customer_id)
    try:
        response = client.get_entitlements(request)
    except StiggGuardError:
        return Panel(is_available=False)
    if response.access_denied_reason == _ARCHIVED:
        return Panel(is_archived=True)
    found = {line.feature_id: line for line in map(_line, response.entitlements)}
    return Panel(lines=tuple(found.get(name) or _missing(name) for name in NAMES))


def _missing(feature_id: str) -> Line:
    return Line(
        feature_id=feature_id,
        name=NAMES[feature_id],
        text="Not in your plan",
        included=False,
    )


def _line(entitlement: Entitlement) -> Line:
    match entitlement.WhichOneof("entitlement"):
        case "metered":
            return _metered(entitlement.metered)
        case "numeric":
            return _numeric(entitlement.numeric)
        case "enum":
            values = ", ".join(entitlement.enum.enum_values)
            return _plain(entitlement.enum.feature.id, values)
        case _:
            return _plain(entitlement.boolean.feature.id, "Included")


def _plain(feature_id: str, text: str) -> Line:
    return Line(
        feature_id=feature_id, name=NAMES.get(feature_id, feature_id), text=text
    )


def _numeric(numeric: NumericEntitlement) -> Line:
    units = numeric.feature.units_plural
    text = "Unlimited" if numeric.is_unlimited else f"{numeric.value:,} {units}"
    return _plain(numeric.feature.id, text)


def _metered(metered: MeteredEntitlement) -> Line:
    used, limit = metered.current_usage, metered.usage_limit
    has_end = metered.HasField("usage_period_end")
    return Line(
        feature_id=metered.feature.id,
        name=NAMES.get(metered.feature.id, metered.feature.id),
        text=f"{used:,g} used" if metered.is_unlimited else f"{used:,g} of {limit:,g}",
        used=used,
        limit=None if metered.is_unlimited else limit,
        resets_at=metered.usage_period_end.ToDatetime(tzinfo=UTC) if has_end else None,
    )
