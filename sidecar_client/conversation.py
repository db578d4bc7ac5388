"""What both clients say and understand: everything of a call that is not I/O.

Which wire carries it does not live here.
"""

from __future__ import annotations

from typing import Any, NoReturn

from google.protobuf.message import DecodeError

from sidecar_client.errors import (
    ConfigurationError,
    SidecarRejected,
    SidecarTimeout,
)
from sidecar_client.methods import Method, Request, Response
from sidecar_client.options import LONGEST_SECONDS, ClientOptions, is_seconds


class Conversation:
    """Turns a call into bytes and a deadline, and bytes into an answer."""

    __slots__ = ("_options", "_target")

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self._target = options.target.address

    def encode(self, method: Method[Request, Any], request: Request) -> bytes:
        """Return the request's bytes; `TypeError` when it is another method's."""
        if not isinstance(request, method.request):
            raise TypeError(
                f"{method.name} takes a {method.request.__name__}, not "
                f"{type(request).__name__}"
            )
        return request.SerializeToString()

    def deadline(self, method: Method[Any, Any], timeout: float | None) -> float:
        """Return the seconds this call may take, always more than 0."""
        if timeout is None:
            options = self._options
            return options.timeout if method.is_read else options.write_timeout
        if not is_seconds(timeout):
            raise ConfigurationError(
                f"timeout is {timeout!r}; use a number of seconds, such as 0.25 and at "
                f"most {LONGEST_SECONDS}, or None for the client's own."
            )
        if timeout <= 0:
            self._no_time(method, timeout)
        return float(timeout)

    def decode(self, method: Method[Any, Response], answer: bytes) -> Response:
        """Return the answer; what this version does not know of it is kept, unread."""
        try:
            return method.response.FromString(answer)
        except DecodeError as failure:
            raise SidecarRejected(
                method=method.name,
                target=self._target,
                cause=f"the answer is not a {method.response.__name__}: what listens "
                "there is not a Stigg sidecar",
                code="INTERNAL",
            ) from failure

    def _no_time(self, method: Method[Any, Any], timeout: float) -> NoReturn:
        # gRPC would let such a call succeed when the answer is quick.
        raise SidecarTimeout(
            method=method.name,
            target=self._target,
            cause=f"no time left: the timeout is {timeout} s",
            code="DEADLINE_EXCEEDED",
            may_have_arrived=False,
        )
