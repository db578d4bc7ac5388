"""Guard and meter Flask views with Stigg entitlements.

The extension lives in `extension`, the decorators in `views`; policy is stigg_guard's.
"""

from __future__ import annotations

from stigg_guard import AccessDenied
from stigg_guard.extras import require

require("flask", extra="flask", needed_by=__name__)

from stigg_guard_flask import signals  # noqa: E402  # says what is missing
from stigg_guard_flask.application_guard import guard  # noqa: E402
from stigg_guard_flask.blueprints import guard_blueprint, guard_exempt  # noqa: E402
from stigg_guard_flask.denied import DeniedRequest, PaymentRequired  # noqa: E402
from stigg_guard_flask.extension import StiggGuard  # noqa: E402
from stigg_guard_flask.requests import (  # noqa: E402
    decision_from,
    guard_from,
    usage_from,
)
from stigg_guard_flask.templating import entitlements_from  # noqa: E402
from stigg_guard_flask.views import (  # noqa: E402
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
)
from stigg_guard_flask.webhooks import webhook_blueprint  # noqa: E402

__all__ = [
    "AccessDenied",
    "DeniedRequest",
    "PaymentRequired",
    "StiggGuard",
    "decision_from",
    "entitlements_from",
    "guard",
    "guard_blueprint",
    "guard_exempt",
    "guard_from",
    "meters_usage",
    "requires_all",
    "requires_any",
    "requires_feature",
    "signals",
    "usage_from",
    "webhook_blueprint",
]
