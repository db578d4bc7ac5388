"""Usage that is reported outside of views: what was given becomes a measurement.

What becomes of it is `metering.conversation`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from stigg_guard.metering.measurement import MOST_EVENT_BYTES, Measurement, now_utc
from stigg_guard.metering.moment import as_moment
from stigg_guard.requirement import (
    Dimension,
    Requirement,
    Update,
    can_be_sent,
    check_change,
    check_units,
)
from stigg_guard.specs import meter_spec
from stigg_guard.subject import Subject, checked_subject
from stigg_guard.view import Delivery, ViewSpec


def usage_of(
    subject: Subject | str,
    feature_id: str,
    value: float,
    update: Update,
    dimensions: Mapping[str, Dimension] | None,
    timestamp: datetime | None,
    delivery: Delivery,
) -> tuple[Measurement, ViewSpec]:
    """Calculated usage; raises `ValueError` for what cannot be reported."""
    spec = meter_spec(
        feature_id, update=update, dimensions=dimensions, delivery=delivery
    )
    check = check_units if update == "set" else check_change
    return _measurement(subject, spec, check("value", value), timestamp), spec


def event_of(
    subject: Subject | str,
    event: str,
    dimensions: Mapping[str, Dimension] | None,
    timestamp: datetime | None,
    feature_id: str | None,
    value: float,
    delivery: Delivery,
) -> tuple[Measurement, ViewSpec]:
    """A raw event; raises `ValueError` for one that cannot be reported."""
    spec = meter_spec(feature_id, event=event, dimensions=dimensions, delivery=delivery)
    found = _measurement(subject, spec, check_units("value", value), timestamp)
    if found.size > MOST_EVENT_BYTES:
        raise ValueError(
            f'event "{event}" has {found.size} bytes, and the sidecar takes'
            f" {MOST_EVENT_BYTES}; put less into its dimensions."
        )
    return found, spec


def _measurement(
    subject: Subject | str, spec: ViewSpec, value: float, timestamp: datetime | None
) -> Measurement:
    need = spec.need
    assert isinstance(need, Requirement)
    assert need.metering is not None
    subject = checked_subject(subject)
    names = (subject.customer_id, subject.resource_id)
    for name in (*names, need.feature_id, need.metering.event):
        _check_name(name)
    return Measurement(
        subject=subject,
        feature_id=need.feature_id,
        value=value,
        update=need.metering.update,
        event=need.metering.event,
        dimensions=need.metering.dimensions,
        timestamp=(
            now_utc() if timestamp is None else as_moment("timestamp", timestamp)
        ),
    )


def _check_name(name: str | None) -> None:
    """A store and the wire would each fail in its own way."""
    if name is not None and not can_be_sent(name):
        raise ValueError(f"{name!r} cannot be sent; use text that is valid UTF-8.")
