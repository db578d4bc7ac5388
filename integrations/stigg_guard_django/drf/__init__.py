"""Guard and meter the views of Django REST framework.

Permission classes, decorators, requirements by action and throttles; the settings and
the middleware are those of `stigg_guard_django`.
"""

from __future__ import annotations

from stigg_guard.extras import require

require("rest_framework", extra="drf", needed_by=__name__)

from stigg_guard_django.drf.denied import (  # noqa: E402  # says what is missing
    APIAccessDenied,
    exception_handler,
)
from stigg_guard_django.drf.permissions import (  # noqa: E402
    RequiresFeature,
    requires,
)
from stigg_guard_django.drf.throttles import (  # noqa: E402
    MeteringThrottle,
    meters,
)
from stigg_guard_django.drf.views import (  # noqa: E402
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
)
from stigg_guard_django.drf.viewsets import GuardedViewSetMixin  # noqa: E402

__all__ = [
    "APIAccessDenied",
    "GuardedViewSetMixin",
    "MeteringThrottle",
    "RequiresFeature",
    "exception_handler",
    "meters",
    "meters_usage",
    "requires",
    "requires_all",
    "requires_any",
    "requires_feature",
]
