"""Simulated outages: calls that are refused, delayed or answered with an error.

What a fault is and which call meets it live here; stopping to listen does not.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

import grpc

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.feed import Feed
from sidecar_client.local.shown import shown
from sidecar_client.protocol import sidecar_pb2 as pb

METHODS: tuple[str, ...] = tuple(
    method.name for method in pb.DESCRIPTOR.services_by_name["SidecarService"].methods
)
Refuse = Literal["unavailable", "closed"]
MOST_FAULTS = 100
MOST_DELAY = 3600.0
CODES = tuple(code.name for code in grpc.StatusCode if code.name != "OK")


class FaultError(ConfigurationError, ValueError):
    """A fault that cannot be, or there is none of that number."""


class Simulated(Exception):
    """The status with which a fault has a call answered."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong, with which methods, and with what share of their calls.

    `refuse="unavailable"` answers UNAVAILABLE at once, `refuse="closed"` stops
    listening; `code` answers any other gRPC code; `delay` waits so many seconds first.
    A share of 0.25 meets every fourth call.
    """

    refuse: Refuse | None = None
    code: str | None = None
    delay: float = 0.0
    methods: tuple[str, ...] = ()
    """The methods that meet it; empty for all."""
    share: float = 1.0

    def __post_init__(self) -> None:
        for problem in (self._kind_problem(), self._extent_problem()):
            if problem:
                raise FaultError(problem)

    def _kind_problem(self) -> str | None:
        if self.refuse is not None and self.refuse not in get_args(Refuse):
            return f"refuse is {shown(self.refuse)}; use 'unavailable' or 'closed'"
        if self.code is not None and self.code not in CODES:
            return f"code is {shown(self.code)}; use one of: {', '.join(CODES)}"
        if self.refuse is not None and self.code is not None:
            return (
                f"refuse is {self.refuse!r} and code is {self.code!r}; give one of both"
            )
        if not _is_number(self.delay) or not 0 <= self.delay <= MOST_DELAY:
            return (
                f"delay is {shown(self.delay)}; "
                f"use a number of seconds from 0 to {MOST_DELAY:g}"
            )
        if self.refuse is None and self.code is None and not self.delay:
            return "the fault changes nothing; give refuse, code or delay"
        return None

    def _extent_problem(self) -> str | None:
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown:
            return f"methods has {shown(unknown[0])}; use some of: {', '.join(METHODS)}"
        if not _is_number(self.share) or not 0 < self.share <= 1:
            return f"share is {shown(self.share)}; use a number above 0, at most 1"
        if self.refuse == "closed" and (self.delay or self.methods or self.share != 1):
            return (
                "refuse is 'closed', which takes the whole port: "
                "leave delay, methods and share out"
            )
        return None

    @property
    def status(self) -> grpc.StatusCode | None:
        """What a call that meets it is answered with; None if it is only delayed."""
        if self.refuse is not None:
            return grpc.StatusCode.UNAVAILABLE
        return None if self.code is None else grpc.StatusCode[self.code]

    def says(self) -> str:
        """The fault as people read it: `ReportUsage is 2 s late, 25% of calls`."""
        if self.refuse == "closed":
            return "nobody listens on the port"
        what = [f"{self.delay:g} s late"] if self.delay else []
        if self.status is not None:
            what.append(f"answered {self.status.name}")
        which = ", ".join(self.methods) or "all methods"
        verb = "is" if len(self.methods) == 1 else "are"
        share = "" if self.share == 1 else f", {self.share * 100:.4g}% of calls"
        return f"{which} {verb} {' and '.join(what)}{share}"


@dataclass(slots=True, kw_only=True)
class ActiveFault:
    """A fault that is on: its number, since when, and how many calls met it."""

    number: int
    fault: Fault
    since: datetime
    met: int = 0
    _seen: int = field(default=0, repr=False)

    def strikes(self, method: str) -> bool:
        """Whether this call meets it; counts the call."""
        if self.fault.methods and method not in self.fault.methods:
            return False
        before = math.floor(self._seen * self.fault.share + 1e-9)
        self._seen += 1
        if math.floor(self._seen * self.fault.share + 1e-9) == before:
            return False
        self.met += 1
        return True


class Faults:
    """The faults that are on, oldest first. They begin and end from any thread."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._lock = threading.Lock()
        self._last = 0
        self.active: tuple[ActiveFault, ...] = ()

    @property
    def closes(self) -> bool:
        """Whether the sidecar should not listen."""
        return any(active.fault.refuse == "closed" for active in self.active)

    @property
    def refuses_all(self) -> bool:
        """Whether no call is answered."""
        return any(
            active.fault.status is not None
            and not active.fault.methods
            and active.fault.share == 1
            for active in self.active
        )

    def begin(self, fault: Fault) -> ActiveFault:
        """Let it meet calls from now on."""
        with self._lock:
            if len(self.active) >= MOST_FAULTS:
                raise FaultError(f"{MOST_FAULTS} faults are on already; end some first")
            self._last += 1
            active = ActiveFault(number=self._last, fault=fault, since=self._feed.now())
            # Before it is told: whoever hears of it looks at once.
            self.active = (*self.active, active)
            self._feed.publish(
                "fault", number=active.number, state="begun", says=fault.says()
            )
        return active

    def end(self, number: int) -> ActiveFault:
        """End the one of that number; `FaultError` if it is not on."""
        with self._lock:
            for active in self.active:
                if active.number == number:
                    self._forget([active])
                    return active
        raise FaultError(f"no fault {number} is on; see which are in GET /local/faults")

    def end_all(self) -> int:
        """End whatever is on; how many that were."""
        with self._lock:
            ended = len(self.active)
            self._forget(self.active)
        return ended

    async def meet(self, method: str) -> None:
        """Wait as long as the faults say, then raise `Simulated` if one says so."""
        struck = [active for active in self.active if active.strikes(method)]
        if delay := sum(active.fault.delay for active in struck):
            await asyncio.sleep(delay)
        for active in struck:
            if code := active.fault.status:
                raise Simulated(
                    code,
                    f"simulated by the local sidecar (fault {active.number}: "
                    f"{active.fault.says()}).",
                )

    def _forget(self, ended: Iterable[ActiveFault]) -> None:
        gone = list(ended)
        self.active = tuple(active for active in self.active if active not in gone)
        for active in gone:
            self._feed.publish(
                "fault",
                number=active.number,
                state="ended",
                says=active.fault.says(),
                met=active.met,
            )


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
