"""The testing kit: say what customers are entitled to, and look at what was reported.

Works with pytest, for which a plugin has fixtures and markers, and without it.
"""

from __future__ import annotations

from stigg_guard.testing.errors import OverrideError
from stigg_guard.testing.outages import slow_sidecar, unavailable_sidecar
from stigg_guard.testing.overrides import override_entitlements
from stigg_guard.testing.recorded import recorded_usage
from stigg_guard.testing.values import (
    credits,  # noqa: A004  # in the words of the sidecar
    denied,
    enum,
    metered,
)

__all__ = [
    "OverrideError",
    "credits",
    "denied",
    "enum",
    "metered",
    "override_entitlements",
    "recorded_usage",
    "slow_sidecar",
    "unavailable_sidecar",
]
