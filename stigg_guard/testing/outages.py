"""A sidecar that is down or slow, for as long as a test wants; nobody waits for it.

What the guards make of it is their own matter, as in a real outage.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from stigg_guard.decision import NoAnswer
from stigg_guard.requirement import check_units
from stigg_guard.settings import Settings
from stigg_guard.testing import stand_ins
from stigg_guard.testing.decorating import decorated
from stigg_guard.testing.outage import Outage

T = TypeVar("T", bound=Callable[..., Any])


class _Outage(Outage):
    def fresh(self) -> _Outage:
        """Another one like it."""
        return self

    def enter(self, *, shared: bool = False) -> Self:
        """Hold from now on."""
        stand_ins.install()
        return super().enter(shared=shared)

    def end(self, error: BaseException | None = None) -> None:
        """Be back: what waits in a test's queues is delivered."""
        self.leave()
        stand_ins.KIT.deliver()

    def __enter__(self) -> Self:
        return self.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    def __call__(self, target: T) -> T:
        """The test, or class of tests, with this outage around it."""
        return decorated(target, self.fresh)


class unavailable_sidecar(_Outage):  # reads as what it makes
    """No sidecar can be reached: checks get no verdict, and reports are not taken.

    With it, `last known` decisions, fallbacks, ON_UNAVAILABLE and the outbox do what
    they do in an outage. Inside `override_entitlements`, what was asked before is
    remembered, and usage that waits is delivered at the end of the outage. Use it as
    that is used: with `with`, `async with` or as a decorator.
    """

    def fresh(self) -> _Outage:
        """Another one."""
        return unavailable_sidecar()

    def __str__(self) -> str:
        return "unavailable_sidecar()"

    def check_fails(self, settings: Settings) -> NoAnswer | None:
        """The connection is refused."""
        return NoAnswer(
            cause=f"{self}: nothing listens on {settings.target} (UNAVAILABLE)",
            may_have_arrived=False,
        )

    def report_fails(self, settings: Settings) -> NoAnswer | None:
        """The connection is refused."""
        return self.check_fails(settings)


class slow_sidecar(_Outage):
    """The sidecar answers after so many seconds, of which none is really waited.

    What takes longer than its deadline (TIMEOUT for checks, WRITE_TIMEOUT for reports)
    ends as if that had passed. A report that misses it has arrived all the same, and
    only its acknowledgement is late. Use it as `unavailable_sidecar`.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = check_units("slow_sidecar(seconds)", seconds)

    def fresh(self) -> _Outage:
        """Another one, as slow."""
        return slow_sidecar(self.seconds)

    def __str__(self) -> str:
        return f"slow_sidecar({self.seconds:g})"

    def check_fails(self, settings: Settings) -> NoAnswer | None:
        """The deadline is missed, if it is shorter."""
        return self._late(settings.timeout)

    def report_fails(self, settings: Settings) -> NoAnswer | None:
        """The deadline is missed, if it is shorter; by then it was carried out."""
        return self._late(settings.write_timeout)

    def _late(self, deadline: float) -> NoAnswer | None:
        if self.seconds < deadline:
            return None
        return NoAnswer(
            cause=f"{self}: no answer within {deadline:g} s (DEADLINE_EXCEEDED)"
        )
