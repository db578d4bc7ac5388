"""Decisions kept in the process: to use again for a while, or to stand in an outage.

Which decisions may be used is said here once; when they are looked up, in `flow`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from stigg_guard.decision import Decision, Entitlement
from stigg_guard.entitlements import Entitlements
from stigg_guard.requirement import Requirement
from stigg_guard.subject import Subject

Clock: TypeAlias = Callable[[], float]
Key: TypeAlias = tuple[str | None, tuple[object, ...]]
Entry: TypeAlias = tuple[float, bool, Decision]

REMEMBERED_KINDS = frozenset({"boolean", "numeric", "enum"})
ENTRIES_PER_CUSTOMER = 512


class DecisionMemory:
    """Verdicts by customer, bounded; the customer that came first leaves first.

    `remember_for` and `last_known_for` are seconds, 0 turns either off. Only boolean,
    numeric and enum decisions are used again; metered and credit ones may only stand
    in. Fallbacks are never kept. Reads take no lock.

    `epoch` is a number that changes when anything is forgotten: what was asked in an
    earlier one may be from before, and is not kept.
    """

    def __init__(
        self,
        *,
        remember_for: float,
        last_known_for: float,
        max_customers: int,
        clock: Clock = time.monotonic,
    ) -> None:
        self._remember_for = remember_for
        self._last_known_for = last_known_for
        self._max_customers = max_customers
        self._clock = clock
        self._customers: dict[str, dict[Key, Entry]] = {}
        self._states: dict[Subject, tuple[float, Entitlements]] = {}
        self.epoch = 0
        self._reused_since = float("-inf")
        self.renew_lock()

    def renew_lock(self) -> None:
        """Start with a free lock: another thread may have held it during a fork."""
        self._lock = threading.Lock()

    def recall(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision that may be used again."""
        if not self._remember_for:
            return None
        entry = self._entry(subject, requirement)
        if entry is None or not entry[1] or entry[0] <= self._reused_since:
            return None
        return entry[2] if self._clock() - entry[0] < self._remember_for else None

    def last_known(self, subject: Subject, requirement: Requirement) -> Decision | None:
        """A decision that may stand in while the sidecar gives no verdict."""
        entry = self._entry(subject, requirement)
        if entry is None or self._clock() - entry[0] >= self._last_known_for:
            return None
        return entry[2]

    def last_entitlement(
        self, subject: Subject, feature_id: str | None
    ) -> Entitlement | None:
        """What a metered feature's last answer said, whatever it was asked for."""
        entries = self._customers.get(subject.customer_id)
        if entries is None:
            return None
        entry = entries.get((subject.resource_id, (feature_id,)))
        if entry is None or self._clock() - entry[0] >= self._last_known_for:
            return None
        return entry[2].entitlement

    def last_entitlements(self, subject: Subject) -> Entitlements | None:
        """All that a subject had, to stand in while the sidecar gives no verdict."""
        entry = self._states.get(subject)
        if entry is None or self._clock() - entry[0] >= self._last_known_for:
            return None
        return entry[1]

    def keep_entitlements(
        self, entitlements: Entitlements, epoch: int | None = None
    ) -> None:
        """Take note of all that a subject has; fallbacks are not taken."""
        subject = entitlements.subject
        if entitlements.is_fallback or subject is None or not self._last_known_for:
            return
        with self._lock:
            if epoch not in (None, self.epoch):
                return
            self._states.pop(subject, None)
            while len(self._states) >= self._max_customers:
                del self._states[next(iter(self._states))]
            self._states[subject] = (self._clock(), entitlements)

    def keep(self, decision: Decision, epoch: int | None = None) -> None:
        """Take note of a verdict; fallbacks are not taken."""
        subject = decision.subject
        if decision.is_fallback or subject is None:
            return
        if not self._remember_for and not self._last_known_for:
            return
        entry = (self._clock(), _may_be_remembered(decision), decision)
        requirement = decision.requirement
        key = (subject.resource_id, requirement.key)
        with self._lock:
            if epoch not in (None, self.epoch):
                return
            entries = self._customers.get(subject.customer_id)
            if entries is None:
                entries = self._add(subject.customer_id)
            elif len(entries) >= ENTRIES_PER_CUSTOMER:
                entries.clear()
            entries[key] = entry
            if requirement.metering is not None:
                entries[subject.resource_id, (requirement.feature_id,)] = entry

    def forget(self, customer_id: str | None = None) -> None:
        """Forget one customer, or everybody."""
        with self._lock:
            self.epoch += 1
            if customer_id is None:
                self._customers.clear()
                self._states.clear()
                return
            self._customers.pop(customer_id, None)
            for subject in [*self._states]:
                if subject.customer_id == customer_id:
                    del self._states[subject]

    def expire(self) -> None:
        """Use nothing again that is known now; it may still stand in."""
        with self._lock:
            self.epoch += 1
            self._reused_since = self._clock()

    def __len__(self) -> int:
        return len(self._customers)

    def _entry(self, subject: Subject, requirement: Requirement) -> Entry | None:
        entries = self._customers.get(subject.customer_id)
        if entries is None:
            return None
        return entries.get((subject.resource_id, requirement.key))

    def _add(self, customer_id: str) -> dict[Key, Entry]:
        while len(self._customers) >= self._max_customers:
            del self._customers[next(iter(self._customers))]
        entries: dict[Key, Entry] = {}
        self._customers[customer_id] = entries
        return entries


def _may_be_remembered(decision: Decision) -> bool:
    entitlement = decision.entitlement
    return (
        entitlement is not None
        and entitlement.kind in REMEMBERED_KINDS
        and decision.requirement.usage is None
    )
