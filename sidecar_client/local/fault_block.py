"""A fault for the length of a `with` or `async with` block.

Only its beginning and end live here; what it does meanwhile is in `faults`.
"""

from __future__ import annotations

import contextlib
from typing import Protocol

from sidecar_client.local.faults import ActiveFault, Fault, FaultError, Faults


class Faulty(Protocol):
    """What a block needs of its sidecar."""

    @property
    def faults(self) -> Faults: ...

    async def follow_faults(self) -> None: ...

    def follow_faults_in_thread(self) -> None: ...


class FaultBlock:
    """A fault that is on inside a `with` or `async with` block, which gives it."""

    def __init__(self, sidecar: Faulty, fault: Fault) -> None:
        self._sidecar = sidecar
        self._fault = fault
        self._active: list[ActiveFault] = []

    def __enter__(self) -> ActiveFault:
        active = self._begin()
        if self._fault.refuse == "closed":
            try:
                self._sidecar.follow_faults_in_thread()
            except BaseException:
                self._end()
                raise
        return active

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._fault.refuse == "closed":
            self._sidecar.follow_faults_in_thread()

    async def __aenter__(self) -> ActiveFault:
        active = self._begin()
        await self._sidecar.follow_faults()
        return active

    async def __aexit__(self, *_: object) -> None:
        self._end()
        await self._sidecar.follow_faults()

    def _begin(self) -> ActiveFault:
        active = self._sidecar.faults.begin(self._fault)
        self._active.append(active)
        return active

    def _end(self) -> None:
        # It may have been ended meanwhile, over HTTP.
        with contextlib.suppress(FaultError):
            self._sidecar.faults.end(self._active.pop().number)
