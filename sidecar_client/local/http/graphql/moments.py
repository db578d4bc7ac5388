"""Times as GraphQL carries them: texts in ISO 8601.

Reading and writing one lives here; which fields are times is said by the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from sidecar_client.local.refusal import Refusal
from sidecar_client.local.shown import written
from sidecar_client.local.values import EARLIEST, LATEST, TIME_RANGE


def told(moment: datetime | None) -> str | None:
    """A time as it is answered; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def moment_of(given: Mapping[str, object], name: str) -> datetime | None:
    """The time that an input gives under a name; None when it gives none."""
    value = given.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise Refusal(
            "INVALID_ARGUMENT",
            f"{name} is {written(value)}; use a time such as 2026-01-31T12:00:00Z.",
        )
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not EARLIEST <= aware < LATEST:
        raise Refusal("INVALID_ARGUMENT", f"{name} is {written(value)}; {TIME_RANGE}.")
    return aware.astimezone(UTC)
