"""A row of an outbox with everything that is known of it, for machines.

How rows are shown to people is `listing`'s.
"""

from __future__ import annotations

import json
from typing import Any, Final

from stigg_guard.commands.words import moment
from stigg_guard.metering.outbox.row import Row

FIELDS: Final = (
    "id",
    "state",
    "key",
    "customer",
    "resource",
    "feature",
    "event",
    "update",
    "value",
    "dimensions",
    "timestamp",
    "doubtful",
    "is_held",
    "period",
    "on_ambiguous",
    "attempts",
    "error",
    "created_at",
    "changed_at",
    "due_at",
)


def record_of(row: Row) -> dict[str, Any]:
    """All fields by name, in their order; times are of UTC, as ISO 8601 has them."""
    measurement = row.measurement
    subject = measurement.subject
    values = (
        row.id,
        row.state,
        measurement.key,
        subject.customer_id,
        subject.resource_id,
        measurement.feature_id,
        measurement.event,
        measurement.update,
        measurement.value,
        dict(measurement.dimensions),
        measurement.timestamp.isoformat(),
        row.doubtful,
        row.is_held,
        None if row.period is None else moment(row.period),
        row.on_ambiguous,
        row.attempts,
        row.error,
        moment(row.created_at),
        moment(row.changed_at),
        moment(row.due_at),
    )
    return dict(zip(FIELDS, values, strict=True))


def as_json(row: Row) -> str:
    """The row as one line of JSON."""
    return json.dumps(record_of(row))


def as_cells(row: Row) -> list[str]:
    """The row for a table of text: nothing for None, JSON for dimensions."""
    return [_cell(value) for value in record_of(row).values()]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict) else str(value)
