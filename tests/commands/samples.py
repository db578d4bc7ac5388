"""Rows to put into an outbox, short to write."""

from __future__ import annotations

from typing import Any

from stigg_guard import Measurement, Subject
from stigg_guard.metering.measurement import new_key
from stigg_guard.metering.outbox.base import NewRow

CUSTOMER = "customer-demo-04"
TEMPLATES = "feature-01-templates"
CAMPAIGNS = "feature-02-campaigns"


def usage(
    value: float = 1,
    *,
    customer: str = CUSTOMER,
    feature: str = CAMPAIGNS,
    update: Any = "delta",
    key: str | None = None,
    **options: Any,
) -> NewRow:
    """Calculated usage of a customer's feature."""
    measurement = Measurement(
        subject=Subject(customer),
        feature_id=feature,
        value=value,
        update=update,
        key=key or new_key(),
    )
    return NewRow(measurement=measurement, **options)


def event(number: int = 0, *, customer: str = CUSTOMER, **options: Any) -> NewRow:
    """A raw event."""
    measurement = Measurement(
        subject=Subject(customer),
        event="export",
        dimensions=(("number", number), ("format", "pdf")),
    )
    return NewRow(measurement=measurement, **options)


def parked(row: NewRow, *, error: str = "INVALID_ARGUMENT: no", **more: Any) -> NewRow:
    """The same, but waiting for a person."""
    return NewRow(
        measurement=row.measurement,
        state="parked",
        error=error,
        attempts=1,
        is_held=row.is_held,
        **more,
    )
