"""What a customer used and the sidecar does not know yet: it waits in the outbox.

Where it waits is the guard's; how it is shown, in `standing`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from stigg_guard import Guard
from stigg_guard.metering.outbox.row import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How much waits to be reported, and for how long the first of it."""

    reports: int = 0
    units: float = 0
    oldest: float = 0

    def __bool__(self) -> bool:
        return self.reports > 0

    @property
    def text(self) -> str:
        """How much it is, for a person."""
        if not self.units:
            return "A new total is waiting to be reported"
        unit, verb = ("unit", "is") if self.units == 1 else ("units", "are")
        return f"{self.units:,g} {unit} {verb} waiting to be reported"

    @property
    def age(self) -> str:
        """How long the oldest has waited, for a person."""
        minutes, seconds = divmod(int(self.oldest), 60)
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def waiting(guard: Guard, customer_id: str) -> Waiting:
    """What of a customer waits; a unit that is given back counts like one used."""
    rows = rows_of_customer(guard, customer_id)
    if not rows:
        return Waiting()
    measured = [row.measurement for row in rows]
    units = sum(abs(one.value) for one in measured if one.update == "delta")
    since = min(row.created_at for row in rows)
    return Waiting(reports=len(rows), units=units, oldest=max(0.0, time.time() - since))


def rows_of_customer(guard: Guard, customer_id: str) -> list[Row]:
    """The rows of a customer that are not delivered, oldest first."""
    return [
        row
        for row in guard.outbox.waiting()
        if row.measurement.subject.customer_id == customer_id
    ]
