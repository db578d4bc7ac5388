"""Measurements to store, short to write."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import NewRow, Outbox, Row
from stigg_guard.subject import Subject


def usage(
    key: str, *, customer: str = "acme", feature: str = "seats", **options: Any
) -> NewRow:
    """Calculated usage of a customer's feature."""
    measurement = Measurement(
        subject=Subject(customer), feature_id=feature, value=1, key=key
    )
    return NewRow(measurement=measurement, **options)


def event(key: str, **options: Any) -> NewRow:
    """A raw event, which no order binds."""
    measurement = Measurement(
        subject=Subject("acme"),
        event="export",
        dimensions=(("format", "pdf"), ("pages", 3)),
        key=key,
    )
    return NewRow(measurement=measurement, **options)


def of_customer(row: NewRow, customer: str) -> NewRow:
    """The same for somebody else."""
    measurement = replace(row.measurement, subject=Subject(customer))
    return replace(row, measurement=measurement)


def keys(rows: list[Row]) -> list[str]:
    """The keys of rows, in their order."""
    return [row.measurement.key for row in rows]


def stored(outbox: Outbox) -> list[str]:
    """The keys of all rows of an outbox."""
    return keys(outbox.rows())
