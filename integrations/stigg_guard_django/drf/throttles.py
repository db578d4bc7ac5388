"""Throttles that meter: a request takes units of a feature as it takes a turn.

Rates over time are the framework's own throttles'.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, ClassVar, ParamSpec

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from stigg_guard import AccessDenied, ConfigurationError
from stigg_guard.requirement import leaves
from stigg_guard.specs import meter_spec
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import project_guards
from stigg_guard_django.drf.denied import denied
from stigg_guard_django.drf.entry import admit_to_its_end, visit_in_api

P = ParamSpec("P")


class MeteringThrottle(BaseThrottle):
    """Holds units while a request runs, and reports them when it succeeded.

    `meters` makes these classes. A customer without units is denied as by
    `meters_usage`, with 402; with `on_denied=429` as by any other throttle.
    """

    spec: ClassVar[ViewSpec | None] = None

    def __init__(self) -> None:
        if self.spec is None:
            raise ConfigurationError(
                "MeteringThrottle stands among the throttles as it is; write"
                ' throttle_classes = [meters("feature-id")].'
            )
        self._denied: AccessDenied | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        """Whether there are units; raises the denial, unless it is to be a 429."""
        assert self.spec is not None
        if request.method == "OPTIONS":
            return True  # what the API tells of itself is free
        if not visit_in_api(request).is_owned:
            raise ConfigurationError(
                f"{type(self).__name__} is among the throttles, and nobody reports its"
                ' usage: add "stigg_guard_django.StiggGuardMiddleware" to MIDDLEWARE in'
                " the Django settings."
            )
        try:
            admit_to_its_end(request, view, self.spec)
        except AccessDenied as error:
            if not _is_too_many(error):
                raise denied(request, error) from None
            self._denied = error
        return self._denied is None

    def wait(self) -> float | None:
        """Seconds until the usage begins anew; None when nobody knows."""
        entitlement = self._denied and self._denied.decision.entitlement
        if not entitlement or entitlement.resets_at is None:
            return None
        left = entitlement.resets_at - datetime.now(UTC)
        return max(0.0, left.total_seconds())

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say where this belongs: permissions are asked for what is never done, too."""
        raise ConfigurationError(
            f"{type(self).__name__} stands among permission_classes; move it to"
            " throttle_classes."
        )


def _is_too_many(error: AccessDenied) -> bool:
    status = project_guards().sync.denials.status(error.decision, error.on_denied)
    return status == HTTPStatus.TOO_MANY_REQUESTS


def _written_as(
    spec: Callable[P, ViewSpec],
) -> Callable[P, type[MeteringThrottle]]:
    def write(*args: P.args, **kwargs: P.kwargs) -> type[MeteringThrottle]:
        found = spec(*args, **kwargs)
        name = f'meters("{leaves(found.need)[0].name}")'
        return type(name, (MeteringThrottle,), {"spec": found, "__module__": __name__})

    return write


meters = _written_as(meter_spec)
"""A throttle: `throttle_classes = [meters("feature-id")]`, on a class or an `@action`.

It takes the options of `meters_usage`, and stands in `stigg_requirements` too.
"""
