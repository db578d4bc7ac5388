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
    from stigg_guard.denial import DenialPolicy
    from stigg_guard.view import Message, OnDenied

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
        decision: Decision | str,
        on_denied: OnDenied | None = None,
        message: Message | None = None,
    ) -> None:
        """Carry a decision, or the one that an explanation tells of.

        The latter is how results of jobs bring it back, which are sent as JSON.
        """
        if isinstance(decision, str):
            from stigg_guard.decision import Decision  # it imports what imports this

            decision = Decision.from_explanation(decision)
        super().__init__(decision.explanation)
        self.decision = decision
        self.on_denied = on_denied
        """What the view asked for in place of the application's answer, if anything."""
        self.own_message = message
        """What the view wants to be said in place of the reason's usual sentence."""
        self.denials: DenialPolicy | None = None
        """How the application answers denials, where its guard is known."""

    @property
    def message(self) -> str:
        """A sentence for people, which GraphQL servers take for their error's own."""
        return str(self.extensions["detail"])

    @property
    def extensions(self) -> dict[str, object]:
        """The problem document: status, reason, feature id and what else is known.

        GraphQL servers put it into the `extensions` of the error that a resolver ends
        with (GraphQL specification, section 7.1.2).
        """
        from stigg_guard.denial import DenialPolicy  # it imports this module's users

        denials = self.denials or DenialPolicy()
        status = denials.status(self.decision, self.on_denied)
        return denials.problem(self.decision, status, self.own_message)

    def __reduce__(self) -> tuple[type[AccessDenied], tuple[object, ...]]:
        return AccessDenied, (self.decision, None, self.own_message)
