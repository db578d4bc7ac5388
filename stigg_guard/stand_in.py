"""Where the testing kit steps in between guards and sidecar; otherwise nothing is here.

What stands in is `testing.stand_ins`, which sets `kit` when a test first asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from stigg_guard.core import GuardCore
    from stigg_guard.decision import Decision
    from stigg_guard.metering.measurement import Measurement
    from stigg_guard.sidecar import AsyncSidecar, SyncSidecar
    from stigg_guard.steps import OutcomeName


class Kit(Protocol):
    """What a guard asks before it asks its sidecar."""

    def core(self, own: GuardCore) -> GuardCore:
        """The core that a guard works with here and now."""
        ...

    def sync_sidecar(
        self, core: GuardCore, real: Callable[[], SyncSidecar]
    ) -> SyncSidecar:
        """What a guard on this core asks and reports with."""
        ...

    def async_sidecar(
        self, core: GuardCore, real: Callable[[], AsyncSidecar]
    ) -> AsyncSidecar:
        """What an asynchronous guard on this core asks and reports with."""
        ...

    def resumed(self, core: object) -> AbstractContextManager[None]:
        """Have a request end with the core that it began with."""
        ...

    def happened(
        self,
        core: GuardCore,
        outcome: OutcomeName,
        subject: Measurement | Decision,
        cause: str,
    ) -> None:
        """Take note of an outcome of metering."""
        ...


kit: Kit | None = None
"""None outside of tests."""

_NOTHING = nullcontext()


def resumed(core: object) -> AbstractContextManager[None]:
    """Have a request end with the core that it began with."""
    return _NOTHING if kit is None else kit.resumed(core)
