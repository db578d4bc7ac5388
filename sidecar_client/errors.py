"""The error tree of the project, drawn once.

What may go wrong when a sidecar is asked lives here; what an answer means does not::

    StiggGuardError
    ├── ConfigurationError       you can fix it: the message says how
    ├── AccessDenied             stigg_guard.errors: carries the decision
    └── SidecarError             the sidecar gave no answer to a call
        ├── SidecarUnavailable   it cannot be reached; it may pass
        ├── SidecarTimeout       it did not answer in time; it may pass
        └── SidecarRejected      it answered that it will not do this
"""

from __future__ import annotations


class StiggGuardError(Exception):
    """The root of every error that stigg_guard and sidecar_client raise."""


class ConfigurationError(StiggGuardError):
    """Something is set up wrongly; the message names thing, value and cure."""


class SidecarError(StiggGuardError):
    """A call to the sidecar failed; the message names method, target and cause."""

    def __init__(
        self,
        *,
        method: str,
        target: str,
        cause: str,
        code: str = "UNKNOWN",
        may_have_arrived: bool = True,
    ) -> None:
        super().__init__(f"{method} on {target}: {cause} ({code})")
        self.method = method
        """The RPC, such as `GetEntitlement`."""
        self.target = target
        """Where the sidecar was looked for, in the words of the client's `target`."""
        self.cause = cause
        """What went wrong, in words."""
        self.code = code
        """The name of the gRPC status code, such as `UNAVAILABLE`."""
        self.may_have_arrived = may_have_arrived
        """False where it is certain that the sidecar did not carry the call out: it was
        never sent, or the sidecar answered that it refuses it. Sending a report again
        is then safe."""


class SidecarUnavailable(SidecarError):
    """The sidecar cannot be reached, or cannot take the call now."""


class SidecarTimeout(SidecarError):
    """The sidecar did not answer before the deadline."""


class SidecarRejected(SidecarError):
    """The sidecar refused the call: asking the same again will not help."""
