"""What one override says, of whom, and the usage that it has counted so far.

Which of several is to answer is `world`'s; its life is that of `overrides`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import check_choice
from stigg_guard.subject import Subject
from stigg_guard.testing.reach import Standing
from stigg_guard.testing.values import Value

Unknown: TypeAlias = Literal["fail", "deny", "allow", "ask"]

_POLICIES: Final = (None, "fail", "deny", "allow", "ask")


class Override(Standing):
    """Values by feature, of one subject or (None) of all, and their counters."""

    def __init__(
        self,
        values: Mapping[str, Value],
        subject: Subject | None,
        unknown: Unknown | None,
    ) -> None:
        check_choice("unknown", unknown, _POLICIES)
        self.values = values
        self.subject = subject
        self.unknown: Unknown | None = unknown
        self._totals: dict[tuple[str, Subject], float] = {}
        self._problems: list[str] = []
        self._counting = threading.Lock()

    def __str__(self) -> str:
        names = ", ".join(f'"{name}"' for name in self.values) or "nothing"
        if self.subject is None:
            return names
        resource = self.subject.resource_id
        of = "" if resource is None else f' and resource "{resource}"'
        return f'{names} for customer "{self.subject.customer_id}"{of} only'

    def used(
        self, feature_id: str, customer: str = "", resource: str | None = None
    ) -> float:
        """The units that a customer has used of a feature, with those before the test.

        The customer may be left out where the override names one.
        """
        if feature_id not in self.values:
            raise ValueError(f'"{feature_id}" is not overridden here; {self} is.')
        if customer:
            return self.total(feature_id, Subject(customer, resource))
        if self.subject is None:
            raise ValueError("name the customer whose usage you want to know.")
        return self.total(feature_id, self.subject)

    def is_about(self, subject: Subject) -> bool:
        """Whether it says anything of this subject."""
        mine = self.subject
        if mine is None or mine == subject:
            return True
        return mine.resource_id is None and mine.customer_id == subject.customer_id

    def total(self, name: str, subject: Subject) -> float:
        """What the subject has used so far."""
        return self._totals.get((name, subject), self.values[name].used)

    def add(self, name: str, measurement: Measurement) -> float:
        """Count usage; the new total."""
        subject = measurement.subject
        with self._counting:
            before = self.total(name, subject)
            is_total = measurement.update == "set" and measurement.event is None
            total = measurement.value + (0 if is_total else before)
            self._totals[name, subject] = max(0.0, total)
            return self._totals[name, subject]

    def noticed(self, problem: str) -> None:
        """Take note of something that the test got wrong."""
        if problem not in self._problems:
            self._problems.append(problem)

    def problems(self) -> list[str]:
        """What was noticed since this was asked last."""
        problems, self._problems = self._problems, []
        return problems
