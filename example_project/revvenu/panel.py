"""The current customer's entitlements and usage, ready to be shown.

They come from `request.stigg`; how they are shown lives in the template.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from example_project.revvenu.plans import NAMES, UNITS
from stigg_guard import Entitlement, Entitlements, Reason


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


def panel(entitlements: Entitlements) -> Panel:
    """What the sidecar says; it may be away, and then the page says that."""
    if entitlements.is_fallback:
        return Panel(is_available=False)
    if entitlements.reason is Reason.CUSTOMER_IS_ARCHIVED:
        return Panel(is_archived=True)
    return Panel(
        lines=tuple(_line(name, entitlements.get(name)) for name in NAMES),
    )


def _line(feature_id: str, found: Entitlement | None) -> Line:
    name = NAMES[feature_id]
    if found is None:
        text = "Not in your plan"
        return Line(feature_id=feature_id, name=name, text=text, included=False)
    return Line(
        feature_id=feature_id,
        name=name,
        text=_text(feature_id, found),
        used=found.current_usage,
        limit=found.usage_limit,
        resets_at=found.resets_at,
    )


def _text(feature_id: str, found: Entitlement) -> str:
    match found.kind:
        case "metered" if found.usage_limit is None:
            return f"{found.current_usage or 0:,g} used"
        case "metered":
            return f"{found.current_usage or 0:,g} of {found.usage_limit:,g}"
        case "numeric" if found.is_unlimited:
            return "Unlimited"
        case "numeric":
            return f"{found.value:,g} {UNITS.get(feature_id, '')}".strip()
        case "enum":
            return ", ".join(found.enum_values)
        case _:
            return "Included"
