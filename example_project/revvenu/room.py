"""How many templates a customer's plan has room for: one question to the guard.

It is the question that creating a template asks, so that its answer is the last known
one when the sidecar is away.
"""

from __future__ import annotations

from dataclasses import dataclass

from example_project.revvenu.plans import TEMPLATES
from stigg_guard import Entitlement, Guard, Subject, feature


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the sidecar counts, and up to which limit; or that it gave no answer."""

    is_answered: bool
    used: float | None = None
    limit: float | None = None

    @property
    def text(self) -> str:
        """What it counts, for a person; empty when it gave no answer."""
        if self.used is None:
            return "nothing" if self.is_answered else ""
        limit = "" if self.limit is None else f" of {self.limit:,g}"
        return f"{self.used:,g}{limit}"

    @property
    def is_within(self) -> bool:
        """Whether no more is used than the plan has."""
        return self.limit is None or (self.used or 0) <= self.limit


def room(guard: Guard, customer_id: str) -> Room:
    """What the sidecar says now; what was known before is no answer."""
    decision = guard.check(Subject(customer_id), feature(TEMPLATES, usage=1))
    if decision.source != "sidecar":
        return Room(is_answered=False)
    found = decision.entitlement or Entitlement(kind="metered")
    return Room(is_answered=True, used=found.current_usage, limit=found.usage_limit)
