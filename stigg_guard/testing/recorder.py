"""What was used while a test looked: each measurement, and what became of it.

What a test says of it, and how differences are shown, is `recorded`'s.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from stigg_guard.core import GuardCore
from stigg_guard.metering.measurement import Measurement
from stigg_guard.steps import OutcomeName
from stigg_guard.testing.outage import Outage
from stigg_guard.testing.reach import Layer, visible

PATIENCE = 5.0
"""Seconds that a real sidecar has for what is delivered in the background."""


@dataclass(frozen=True, slots=True)
class Record:
    """A measurement and its latest outcome, with the cause if it is a bad one."""

    measurement: Measurement
    outcome: OutcomeName
    cause: str = ""

    @property
    def is_reported(self) -> bool:
        """Whether a sidecar took it."""
        return self.outcome in ("acknowledged", "delivered")

    @property
    def may_be_reported(self) -> bool:
        """Whether it is still on its way."""
        return self.outcome in ("measured", "stored")


class Recorder(Layer):
    """Keeps what guards measure in its reach, in that order."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._cores: list[GuardCore] = []
        self._lock = threading.Lock()

    def note(
        self, core: GuardCore, outcome: OutcomeName, used: Measurement, cause: str
    ) -> None:
        """Take note of an outcome; later ones only of what was measured here."""
        with self._lock:
            if outcome == "measured":
                self._records[used.key] = Record(used, outcome)
                if core not in self._cores:
                    self._cores.append(core)
                return
            known = self._records.get(used.key)
            # It may be delivered before it is told that it was stored.
            if known is not None and not known.is_reported:
                self._records[used.key] = replace(known, outcome=outcome, cause=cause)

    def records(self) -> tuple[Record, ...]:
        """All of them, once what is delivered in the background has been."""
        patience = 0.0 if visible(Outage) else PATIENCE
        with self._lock:
            waits = any(each.may_be_reported for each in self._records.values())
            cores = tuple(self._cores) if waits else ()
        for core in cores:
            core.stores.settle(patience)
        with self._lock:
            return tuple(self._records.values())
