"""Amounts of entitlements: multiplied, added up, and compared for the most generous.

Only arithmetic lives here; which entitlements meet is the matter of `offers`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from sidecar_client.local.entitlements import Entitlement
from sidecar_client.local.sources import Grant

LEAST_VALUE, MOST_VALUE = -(2**31), 2**31 - 1
"""What the protocol's answers can hold; sums beyond stay there."""
MOST_LIMIT = sys.float_info.max


def generosity(entitlement: Entitlement) -> tuple[bool, float, bool]:
    """How much it grants, to compare: unlimited, then the amount, then a soft limit."""
    value = entitlement.value
    amount = (entitlement.limit or 0.0) if value is None else value
    return (entitlement.unlimited, amount, entitlement.soft_limit)


def most_generous(grants: Sequence[Grant]) -> Grant:
    """The largest grant, the first of equals."""
    if len(grants) == 1:
        return grants[0]
    return max(grants, key=lambda grant: generosity(grant.entitlement))


def times(entitlement: Entitlement, quantity: int) -> Entitlement:
    """The entitlement of something that was bought several times."""
    if quantity == 1:
        return entitlement
    changed: dict[str, object] = {}
    if entitlement.value is not None:
        changed["value"] = _value(entitlement.value * quantity)
    if entitlement.limit is not None:
        changed["limit"] = _limit([entitlement.limit], quantity)
    return entitlement.model_copy(update=changed) if changed else entitlement


def added(parts: Sequence[Entitlement]) -> Entitlement:
    """One entitlement of several; reset periods are the first one's.

    It is unlimited, or has a soft limit, if any of them is or has.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    unlimited = any(part.unlimited for part in parts)
    values = [part.value for part in parts if part.value is not None]
    limits = [part.limit for part in parts if part.limit is not None]
    return first.model_copy(
        update={
            "unlimited": unlimited,
            "value": _value(sum(values)) if values and not unlimited else None,
            "limit": _limit(limits) if limits and not unlimited else None,
            "soft_limit": any(part.soft_limit for part in parts),
            "values": united(part.values for part in parts),
        }
    )


def united(values: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """All enum values, each once, in the order of the entitlements."""
    return tuple(dict.fromkeys(value for some in values for value in some))


def _value(total: int) -> int:
    return min(max(total, LEAST_VALUE), MOST_VALUE)


def _limit(limits: Sequence[float], quantity: int = 1) -> float:
    total = sum(limits)
    if not total:
        return 0.0
    try:
        return min(total * quantity, MOST_LIMIT)
    except OverflowError:  # A quantity beyond what a float can hold.
        return MOST_LIMIT
