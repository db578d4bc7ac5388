"""Where usage is counted, and the number that a counter's record stands for.

Which record, of which window, lives here; changing records (`metering`) does not.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from sidecar_client.local.catalog import Feature
from sidecar_client.local.meters import usage_of as metered
from sidecar_client.local.periods import Window, window_at
from sidecar_client.local.records import (
    Aggregate,
    Counter,
    Key,
    Usage,
    aggregate_key,
    usage_key,
)
from sidecar_client.local.sources import Grant
from sidecar_client.local.units import in_units


def counter_of(
    feature: Feature, grant: Grant, customer_id: str, moment: datetime
) -> tuple[Key[Usage], Window | None]:
    """The counter that usage at `moment` of what is granted belongs to.

    With its reset period; None for usage that never resets.
    """
    window = None
    if period := grant.entitlement.reset_period:
        window = window_at(
            moment,
            period=period,
            rule=grant.entitlement.reset_anchor,
            begun=grant.begun,
        )
    start = window.start if window else None
    return usage_key(customer_id, grant.resource_id, feature.id, start), window


def record_key(feature: Feature, counter: Key[Usage]) -> Counter:
    """Where the number of a counter is kept."""
    return aggregate_key(counter) if feature.events else counter


def usage_of(feature: Feature, record: BaseModel | None, now: datetime) -> float:
    """The usage that a counter's record stands for, in the feature's units."""
    if not isinstance(record, Usage | Aggregate):
        return 0.0
    return in_units(feature, metered(feature, record, now))
