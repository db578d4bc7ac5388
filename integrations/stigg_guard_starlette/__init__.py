"""Guard and meter Starlette and FastAPI endpoints with Stigg entitlements.

What only FastAPI has, dependencies, lives in `stigg_guard_starlette.fastapi`.
"""

from __future__ import annotations

from stigg_guard import AccessDenied, guard_exempt
from stigg_guard.extras import require

require("starlette", extra="starlette", needed_by=__name__)

from stigg_guard_starlette.endpoints import (  # noqa: E402  # says what is missing
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
)
from stigg_guard_starlette.entitlements import entitlements_from  # noqa: E402
from stigg_guard_starlette.handlers import install_handlers  # noqa: E402
from stigg_guard_starlette.lifespan import guard_lifespan  # noqa: E402
from stigg_guard_starlette.middleware import (  # noqa: E402
    StiggGuardMiddleware,
    decision_from,
    guard_from,
    usage_from,
)
from stigg_guard_starlette.webhooks import webhook_route  # noqa: E402

__all__ = [
    "AccessDenied",
    "StiggGuardMiddleware",
    "decision_from",
    "entitlements_from",
    "guard_exempt",
    "guard_from",
    "guard_lifespan",
    "install_handlers",
    "meters_usage",
    "requires_all",
    "requires_any",
    "requires_feature",
    "usage_from",
    "webhook_route",
]
