"""Response headers that tell a client its limit, what remains, and when it is reset.

Off by default. Sources: draft-ietf-httpapi-ratelimit-headers-10 for `RateLimit` and
`RateLimit-Policy`; the three `X-RateLimit-*` fields are what many APIs send.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from stigg_guard.decision import Decision, Entitlement
from stigg_guard.metering.measurement import Measurement

NAMES: Final = ("limit", "remaining", "reset", "policy", "state")
_IETF: Final = {"policy": "RateLimit-Policy", "state": "RateLimit"}
_LEGACY: Final = {
    "limit": "X-RateLimit-Limit",
    "remaining": "X-RateLimit-Remaining",
    "reset": "X-RateLimit-Reset",
}
KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "ietf": _IETF,
    "x-ratelimit": _LEGACY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """What is said of one feature."""

    feature_id: str
    limit: int
    remaining: int
    reset: int | None


def rate_limit_headers(
    names: Mapping[str, str] | None,
    decisions: Sequence[Decision],
    measurements: Sequence[Measurement] = (),
    clock: Callable[[], float] = time.time,
) -> dict[str, str]:
    """The headers by `names` for what was decided and used of what is limited.

    `names` are header names by `limit`, `remaining`, `reset` (three numbers, of the
    decision of which the least remains) and `policy`, `state` (structured fields, with
    every metered feature of the request). `reset` is in seconds from now. Empty where
    nothing is limited.
    """
    if not names:
        return {}
    by_feature: dict[str, _Standing] = {}
    for decision in decisions:
        standing = _standing(decision, measurements, clock())
        if standing is not None:
            by_feature[standing.feature_id] = standing
    if not by_feature:
        return {}
    found = [*by_feature.values()]
    tightest = min(found, key=lambda standing: standing.remaining)
    values: dict[str, str | None] = {
        "limit": str(tightest.limit),
        "remaining": str(tightest.remaining),
        "reset": None if tightest.reset is None else str(tightest.reset),
        "policy": ", ".join(_policy(standing) for standing in found),
        "state": ", ".join(_state(standing) for standing in found),
    }
    return {
        header: value
        for name, header in names.items()
        if (value := values[name]) is not None
    }


def _standing(
    decision: Decision, measurements: Sequence[Measurement], now: float
) -> _Standing | None:
    entitlement, feature_id = decision.entitlement, decision.requirement.feature_id
    if entitlement is None or feature_id is None or not _is_limited(entitlement):
        return None
    limit = entitlement.usage_limit or 0
    used = entitlement.current_usage or 0
    for measurement in measurements:
        if measurement.feature_id == feature_id:
            change = measurement.value
            used = change if measurement.update == "set" else max(0, used + change)
    reset = entitlement.resets_at
    return _Standing(
        feature_id=feature_id,
        limit=math.floor(limit),
        remaining=max(0, math.floor(limit - used)),
        reset=None if reset is None else max(0, math.ceil(reset.timestamp() - now)),
    )


def _is_limited(entitlement: Entitlement) -> bool:
    return (
        entitlement.kind == "metered"
        and not entitlement.is_unlimited
        and entitlement.usage_limit is not None
    )


def _policy(standing: _Standing) -> str:
    return f"{_string(standing.feature_id)};q={standing.limit}"


def _state(standing: _Standing) -> str:
    reset = "" if standing.reset is None else f";t={standing.reset}"
    return f"{_string(standing.feature_id)};r={standing.remaining}{reset}"


def _string(text: str) -> str:
    """A string of structured fields (RFC 9651, section 3.3.3)."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
