"""The core of a guard while overrides hold: its settings, and nothing of its memory.

What the overrides answer is `world`'s; the core that it stands in for is `core`'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from stigg_guard.core import GuardCore
from stigg_guard.decision import Decision
from stigg_guard.entitlements import Entitlements
from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.memory import MemoryOutbox
from stigg_guard.metering.stores import Stores
from stigg_guard.metering.worker import Happened, Report
from stigg_guard.settings import Settings
from stigg_guard.testing import world
from stigg_guard.testing.override import Override

_ANSWERS = "_answers"
_HOUR = 3600.0
_STEPS = 4


class OverrideCore(GuardCore):
    """Memory, holds, queue and counts of a guard under some overrides."""

    stores: ImmediateStores

    def __init__(self, own: GuardCore, overrides: tuple[Override, ...]) -> None:
        here = replace(own.settings, holds="memory", outbox=None, drain_timeout=0)
        super().__init__(here)
        self.own = own
        self.overrides = overrides
        self.settings = own.settings
        self.denials = own.denials
        self.hooks = own.hooks
        self.stores = ImmediateStores(here, report=self._report, happened=self.happened)

    def decided(self, decision: Decision) -> None:
        """Count it; an override that does not fit the code is an error of the test."""
        world.check_decision(self.overrides, decision)
        super().decided(decision)

    def keep_entitlements(self, entitlements: Entitlements, epoch: int) -> None:
        """Take note of a list, in which what is not overridden is noticed."""
        subject = entitlements.subject
        assert subject is not None
        shown = getattr(entitlements, _ANSWERS)
        listed = world.Listed(self.overrides, subject, shown)
        # Frozen for its users; this is where a test takes part in it.
        object.__setattr__(entitlements, _ANSWERS, listed)
        super().keep_entitlements(entitlements, epoch)

    def end(self) -> None:
        """Deliver what waits, as far as it can be, and forget the rest."""
        self.stores.settle(0)
        self.stores.outbox.discard([row.id for row in self.stores.outbox.waiting()])
        self.close()


class ImmediateStores(Stores):
    """Holds and a queue in memory; what is queued is delivered there and then."""

    _ahead = 0.0
    _is_delivering = False

    def __init__(
        self, settings: Settings, *, report: Callable[[], Report], happened: Happened
    ) -> None:
        self._turn = threading.RLock()
        super().__init__(settings, report=report, happened=happened)

    def after_fork(self) -> None:
        """Begin anew in a child."""
        super().after_fork()
        self._turn, self._is_delivering = threading.RLock(), False

    def _open_outbox(self) -> Outbox:
        return MemoryOutbox(most=self._settings.queue_size, clock=self._now)

    def _now(self) -> float:
        return time.time() + self._ahead

    def wake(self) -> None:
        """Deliver what was queued, in the caller's thread."""
        with self._turn:
            if self._is_delivering:
                return  # what comes up meanwhile is delivered in the next step
            self._is_delivering = True
            try:
                for _ in range(_STEPS):
                    if not self._deliverer.step():
                        return
            finally:
                self._is_delivering = False

    def settle(self, timeout: float) -> bool:
        """Deliver what waits, be it due or not, at once; whether nothing is left."""
        if self._outbox is None:
            return True
        with self._turn:
            self._ahead = _HOUR
            try:
                self.wake()
            finally:
                self._ahead = 0.0
        status = self._outbox.status()
        return not status.pending + status.in_flight
