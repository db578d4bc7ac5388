"""The errors a user of stigg_guard meets; the tree is drawn in `sidecar_client.errors`.

What a denial looks like over HTTP lives in `denial`, not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar_client.errors import (
    ConfigurationError,
    SidecarError,
    SidecarRejected,
    SidecarTimeout,
    SidecarUnavailable,
    StiggGuardError,
)

if TYPE_CHECKING:
    from stigg_guard.decision import Decision
    from stigg_guard.view import OnDenied

__all__ = [
    "AccessDenied",
    "ConfigurationError",
    "SidecarError",
    "SidecarRejected",
    "SidecarTimeout",
    "SidecarUnavailable",
    "StiggGuardError",
]


class AccessDenied(StiggGuardError):
    """The customer may not do this; `decision` says why.

    Raised by `Guard.require` and the decorators. The framework's adapter turns it into
    the HTTP answer; outside of a request it is yours to catch.
    """

    def __init__(
        self,
        decision: Decision,
        on_denied: OnDenied | None = None,
        message: str | None = None,
    ) -> None:
        super().__init__(decision.explanation)
        self.decision = decision
        self.on_denied = on_denied
        """What the view asked for in place of the application's answer, if anything."""
        self.message = message
        """What the view wants to be said in place of the reason's usual sentence."""

    def __reduce__(self) -> tuple[type[AccessDenied], tuple[object, ...]]:
        return AccessDenied, (self.decision, None, self.message)
