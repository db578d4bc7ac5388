"""Guard and meter Django views: the decorators, the middleware and the guard itself.

Settings are read in `apps`; what is asked and answered is `stigg_guard`'s.
"""

from __future__ import annotations

from stigg_guard import AccessDenied
from stigg_guard.extras import require

require("django", extra="django", needed_by=__name__)

from stigg_guard_django.apps import guard_from  # noqa: E402  # says what is missing
from stigg_guard_django.entitled import (  # noqa: E402
    RequestEntitlements,
    StiggRequest,
    entitlements_from,
)
from stigg_guard_django.middleware import StiggGuardMiddleware  # noqa: E402
from stigg_guard_django.mixins import (  # noqa: E402
    MetersUsageMixin,
    RequiresFeatureMixin,
)
from stigg_guard_django.paths import guarded_path, guarded_re_path  # noqa: E402
from stigg_guard_django.project_guard import guard  # noqa: E402
from stigg_guard_django.staff import is_staff  # noqa: E402
from stigg_guard_django.views import (  # noqa: E402
    guard_exempt,
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
)
from stigg_guard_django.visit import decision_from, usage_from  # noqa: E402
from stigg_guard_django.webhooks import webhook_view  # noqa: E402

__all__ = [
    "AccessDenied",
    "MetersUsageMixin",
    "RequestEntitlements",
    "RequiresFeatureMixin",
    "StiggGuardMiddleware",
    "StiggRequest",
    "decision_from",
    "entitlements_from",
    "guard",
    "guard_exempt",
    "guard_from",
    "guarded_path",
    "guarded_re_path",
    "is_staff",
    "meters_usage",
    "requires_all",
    "requires_any",
    "requires_feature",
    "usage_from",
    "webhook_view",
]
