"""Guard and meter Starlette and FastAPI endpoints with Stigg entitlements.

What only FastAPI has, dependencies, lives in `stigg_guard_starlette.fastapi`.
"""

from __future__ import annotations

try:
    # Only to see whether it is there.
    import starlette as _starlette  # noqa: F401  # pyright: ignore[reportUnusedImport]
except ImportError as error:
    raise ImportError(
        "stigg_guard_starlette needs Starlette: pip install 'stigg-guard[starlette]'"
    ) from error

from stigg_guard.decorators import guard_exempt
from stigg_guard_starlette.endpoints import (
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
)
from stigg_guard_starlette.middleware import StiggGuardMiddleware, guard_from

__all__ = [
    "StiggGuardMiddleware",
    "guard_exempt",
    "guard_from",
    "meters_usage",
    "requires_all",
    "requires_any",
    "requires_feature",
]
