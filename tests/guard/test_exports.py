"""The public names: a change here is a change for users."""

from __future__ import annotations

import stigg_guard


def test_public_names_are_these() -> None:
    assert sorted(stigg_guard.__all__) == [
        "AccessDenied",
        "AsyncGuard",
        "ConfigurationError",
        "Decision",
        "Denial",
        "DenialPolicy",
        "Entitlement",
        "Entitlements",
        "Fallback",
        "FeatureSettings",
        "Guard",
        "Happening",
        "LazyEntitlements",
        "Measurement",
        "Reason",
        "Requirement",
        "Rule",
        "Settings",
        "SidecarError",
        "SidecarRejected",
        "SidecarTimeout",
        "SidecarUnavailable",
        "StiggGuardError",
        "Subject",
        "Usage",
        "WebhookEvent",
        "currency",
        "current_subject",
        "current_usage",
        "feature",
        "guard_exempt",
        "specs_of",
        "subject",
    ]
    assert all(hasattr(stigg_guard, name) for name in stigg_guard.__all__)
