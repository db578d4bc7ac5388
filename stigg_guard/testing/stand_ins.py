"""What stands between guards and their sidecar in a test, and when: the kit's way in.

What is answered is `world`'s and `outage`'s; guards ask through `stigg_guard.stand_in`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, cast

from stigg_guard import stand_in
from stigg_guard.core import GuardCore
from stigg_guard.decision import Decision
from stigg_guard.metering.measurement import Measurement
from stigg_guard.steps import OutcomeName
from stigg_guard.testing.outage import Outage
from stigg_guard.testing.override import Override
from stigg_guard.testing.override_core import OverrideCore
from stigg_guard.testing.reach import active, visible
from stigg_guard.testing.recorder import Recorder
from stigg_guard.testing.sidecars import AsyncStandIn, StandIn

if TYPE_CHECKING:
    from stigg_guard.sidecar import AsyncSidecar, SyncSidecar

_resumed: ContextVar[object] = ContextVar("stigg_guard_resumed", default=None)


class Kit:
    """Answers the guards' questions; one for the process, from its first use on."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._cores: dict[tuple[Override, ...], list[OverrideCore]] = {}

    def core(self, own: GuardCore) -> GuardCore:
        """The guard's own core, or that of the overrides that hold here."""
        began = _resumed.get()
        if began is own or (isinstance(began, OverrideCore) and began.own is own):
            assert isinstance(began, GuardCore)
            return began
        overrides = visible(Override)
        return self._core_of(own, overrides) if overrides else own

    def _core_of(self, own: GuardCore, overrides: tuple[Override, ...]) -> OverrideCore:
        with self._lock:
            cores = self._cores.setdefault(overrides, [])
            for core in cores:
                if core.own is own:
                    return core
            core = OverrideCore(own, overrides)
            cores.append(core)
            return core

    def sync_sidecar(
        self, core: GuardCore, real: Callable[[], SyncSidecar]
    ) -> SyncSidecar:
        """The overrides in a sidecar's place, or an outage in front of the real one."""
        if not _is_between(core):
            return real()
        made = StandIn(core.settings, _overrides_of(core), real)
        return cast("SyncSidecar", made)

    def async_sidecar(
        self, core: GuardCore, real: Callable[[], AsyncSidecar]
    ) -> AsyncSidecar:
        """The same, for event loops."""
        if not _is_between(core):
            return real()
        made = AsyncStandIn(core.settings, _overrides_of(core), real)
        return cast("AsyncSidecar", made)

    @contextmanager
    def resumed(self, core: object) -> Generator[None]:
        """Have a request end with the core that it began with."""
        token = _resumed.set(core)
        try:
            yield
        finally:
            _resumed.reset(token)

    def happened(
        self,
        core: GuardCore,
        outcome: OutcomeName,
        subject: Measurement | Decision,
        cause: str,
    ) -> None:
        """Tell the recorders of usage."""
        if isinstance(subject, Measurement):
            kept = visible(Recorder) if outcome == "measured" else active(Recorder)
            for recorder in kept:
                recorder.note(core, outcome, subject, cause)

    def deliver(self) -> None:
        """Deliver what waits in the overrides' queues."""
        with self._lock:
            cores = [core for found in self._cores.values() for core in found]
        for core in cores:
            core.stores.settle(0)

    def let_go(self, override: Override) -> None:
        """The override ends: deliver what its cores hold, and let go of them."""
        with self._lock:
            gone = [key for key in self._cores if override in key]
            cores = [core for key in gone for core in self._cores.pop(key)]
        for core in cores:
            core.end()


def _overrides_of(core: GuardCore) -> tuple[Override, ...]:
    return core.overrides if isinstance(core, OverrideCore) else ()


def _is_between(core: GuardCore) -> bool:
    return isinstance(core, OverrideCore) or bool(visible(Outage))


KIT: Final = Kit()


def install() -> None:
    """Have the guards of this process ask the kit first."""
    stand_in.kit = KIT
