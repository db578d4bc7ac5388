"""What `doctor` finds of the sidecar: whether it answers, how fast, and to what.

Where usage and holds are kept is looked at in `store_findings`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from sidecar_client import (
    GetEntitlementRequest,
    GetEntitlementsRequest,
    GetEntitlementsStateV2Request,
    GetEntitlementV2Request,
    ReportEventsRequest,
    ReportUsageBulkRequest,
    ReportUsageRequest,
    SyncStigg,
)
from stigg_guard.commands.finding import CUSTOMER, FEATURE, Finding, Level
from stigg_guard.commands.words import counted
from stigg_guard.errors import SidecarError, SidecarRejected
from stigg_guard.exposure import is_exposed
from stigg_guard.guard import Guard
from stigg_guard.settings import Settings

_ROUNDS: Final = 20


def of_target(guard: Guard, *, is_named: bool) -> Iterator[Finding]:
    """Whether the sidecar answers, how fast, and to what."""
    settings = guard.settings
    if not is_named:
        yield Finding(
            level="warn",
            about="target",
            words=f"no sidecar is named, so it is the default {settings.target}",
            cure='Set TARGET, such as "localhost:80".',
        )
    elif settings.target == "local":
        yield Finding(
            level="warn",
            about="target",
            words='"local": customers are judged by a sidecar for development',
            cure='In production, set TARGET to your sidecar, such as "localhost:80".',
        )
    elif is_exposed(settings):
        yield Finding(
            level="warn",
            about="target",
            words=f"{settings.target} is another host, and is asked without TLS",
            cure="Run the sidecar beside the application, or set ROOT_CERTIFICATES.",
        )
    else:
        yield Finding(level="ok", about="target", words=settings.target)
    client = guard.sidecar.client
    trouble = _trouble(client)
    if trouble is not None:
        yield trouble
        return
    yield _deadline(client, settings)
    yield _methods(client)


def _trouble(client: SyncStigg) -> Finding | None:
    """Why the sidecar does not answer; None when it does."""
    try:
        client.get_entitlement(_question(), timeout=5)
    except SidecarRejected as error:
        if error.code != "UNIMPLEMENTED":
            return None
        return Finding(
            level="fail",
            about="sidecar",
            words=f"what answers at {error.target} is no Stigg sidecar",
            cure="Look at TARGET: the sidecar's gRPC port is meant.",
        )
    except SidecarError as error:
        return Finding(
            level="fail",
            about="sidecar",
            words=f"does not answer at {error.target}: {error.cause}",
            cure="Start it, or look at TARGET and at what stands between.",
        )
    return None


def _question() -> GetEntitlementRequest:
    return GetEntitlementRequest(customer_id=CUSTOMER, feature_id=FEATURE)


def _deadline(client: SyncStigg, settings: Settings) -> Finding:
    """How long a check takes, beside the time that a check may take."""
    seconds = sorted(_seconds(client) for _ in range(_ROUNDS))
    usual, slow = statistics.median(seconds), seconds[-1]
    words = (
        f"answers in {_ms(usual)} ({counted(_ROUNDS, 'question')}, the slowest"
        f" {_ms(slow)}); TIMEOUT is {_ms(settings.timeout)}"
    )
    if usual > settings.timeout:
        level: Level = "fail"
    elif slow * 2 > settings.timeout:
        level = "warn"
    else:
        return Finding(level="ok", about="sidecar", words=words)
    return Finding(
        level=level,
        about="sidecar",
        words=words,
        cure="Bring the sidecar nearer, or raise TIMEOUT: without an answer in time"
        " requests get what is known, or ON_UNAVAILABLE.",
    )


def _seconds(client: SyncStigg) -> float:
    began = time.perf_counter()
    with suppress(SidecarError):  # an answer all the same, or as slow as one
        client.get_entitlement(_question(), timeout=5)
    return time.perf_counter() - began


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.1f} ms" if seconds < 0.1 else f"{seconds * 1_000:.0f} ms"


def _methods(client: SyncStigg) -> Finding:
    """Which of the methods that the guard uses are served.

    What is asked changes nothing: reads of nobody, and reports of nothing.
    """
    calls: dict[str, tuple[Callable[..., Any], Any]] = {
        "GetEntitlement": (client.get_entitlement, _question()),
        "GetEntitlements": (
            client.get_entitlements,
            GetEntitlementsRequest(customer_id=CUSTOMER),
        ),
        "GetEntitlementV2": (
            client.get_entitlement_v2,
            GetEntitlementV2Request(customer_id=CUSTOMER, feature_id=FEATURE),
        ),
        "GetEntitlementsStateV2": (
            client.get_entitlements_state_v2,
            GetEntitlementsStateV2Request(customer_id=CUSTOMER),
        ),
        "ReportUsage": (client.report_usage, ReportUsageRequest()),
        "ReportUsageBulk": (client.report_usage_bulk, ReportUsageBulkRequest()),
        "ReportEvents": (client.report_events, ReportEventsRequest()),
    }
    missing = [name for name, call in calls.items() if not _is_served(*call)]
    if not missing:
        words = f"all {len(calls)} that are used are served"
        return Finding(level="ok", about="methods", words=words)
    return Finding(
        level="warn",
        about="methods",
        words=f"not served: {', '.join(missing)}",
        cure="Use a newer sidecar, or do without what they are for.",
    )


def _is_served(call: Callable[..., Any], request: Any) -> bool:
    try:
        call(request, timeout=5)
    except SidecarRejected as error:
        return error.code != "UNIMPLEMENTED"
    except SidecarError:
        return True  # it may well be
    return True
