"""Guard and meter views with Stigg entitlements: policy, independent of frameworks.

The adapters are `stigg_guard_django`, `stigg_guard_flask` and `stigg_guard_starlette`.
"""

from __future__ import annotations

from stigg_guard.bound_subject import current_subject, subject
from stigg_guard.decision import Decision, Entitlement, Reason
from stigg_guard.decorators import guard_exempt, specs_of
from stigg_guard.denial import Denial, DenialPolicy, FeatureSettings
from stigg_guard.entitlements import Entitlements
from stigg_guard.errors import (
    AccessDenied,
    ConfigurationError,
    SidecarError,
    SidecarRejected,
    SidecarTimeout,
    SidecarUnavailable,
    StiggGuardError,
)
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.guarded_call import current_usage
from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard.metering.happening import Happening
from stigg_guard.metering.measurement import Measurement
from stigg_guard.requirement import Fallback, Requirement, currency, feature
from stigg_guard.rules import Rule
from stigg_guard.settings import Settings
from stigg_guard.steps import Usage
from stigg_guard.subject import Subject
from stigg_guard.webhooks.event import WebhookEvent

__version__ = "0.1.0"

__all__ = [
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
