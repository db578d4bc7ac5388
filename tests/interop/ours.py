"""Our own clients as peers: what they get is what the others must get.

How others are run lives in `peers`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

from sidecar_client import (
    SidecarError,
    SidecarRejected,
    SidecarTimeout,
    Stigg,
    SyncStigg,
)
from tests.interop.calls import Call, Result, tree


def sync_results(target: str, calls: Sequence[Call]) -> list[Result]:
    """What `SyncStigg` gets."""
    found: list[Result] = []
    with SyncStigg(target=target) as stigg:
        for call in calls:
            try:
                answer = _method(stigg, call)(call.request, timeout=call.timeout)
            except SidecarError as error:
                found.append(_failure(call, error))
            else:
                found.append(_success(call, answer))
    return found


def async_results(target: str, calls: Sequence[Call]) -> list[Result]:
    """What `Stigg` gets."""
    return asyncio.run(_async_results(target, calls))


async def _async_results(target: str, calls: Sequence[Call]) -> list[Result]:
    found: list[Result] = []
    async with Stigg(target=target) as stigg:
        for call in calls:
            try:
                answer = await _method(stigg, call)(call.request, timeout=call.timeout)
            except SidecarError as error:
                found.append(_failure(call, error))
            else:
                found.append(_success(call, answer))
    return found


# Any: each of the twelve methods takes and returns messages of its own.
def _method(stigg: Stigg | SyncStigg, call: Call) -> Any:
    return getattr(stigg, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", call.method).lower())


def _success(call: Call, answer: Any) -> Result:
    return Result(name=call.name, status="OK", response=tree(answer))


def _failure(call: Call, error: SidecarError) -> Result:
    cause = error.cause
    if isinstance(error, SidecarTimeout):
        cause = ""  # Each library has its own words for what no server said.
    elif isinstance(error, SidecarRejected) and error.code == "UNIMPLEMENTED":
        cause = cause.partition("this method: ")[2]
    return Result(name=call.name, status=error.code, message=cause)
