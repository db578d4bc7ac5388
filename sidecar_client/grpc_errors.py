"""What a failed gRPC call means: the project's errors, and causes in words.

The table at the top is the whole rule; transports only call `error_of`.
"""

from __future__ import annotations

from typing import Final

import grpc

from sidecar_client.errors import (
    SidecarError,
    SidecarRejected,
    SidecarTimeout,
    SidecarUnavailable,
)

_MAY_PASS: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_NO_SIDECAR: Final = "what listens there is not a Stigg sidecar"
_NOT_HTTP2: Final = f"{_NO_SIDECAR}: it speaks no gRPC; is the port right?"
_NO_TLS: Final = (
    "what listens there does not speak TLS; leave out root_certificates, or correct "
    "the port"
)
_NOT_TRUSTED: Final = (
    "its certificate is not signed by root_certificates; pass the one it is signed by"
)
_OTHER_NAME: Final = (
    "its certificate is for another name; use the name in the certificate as the target"
)
# What gRPC says, over its versions, of a peer that it cannot talk to, and what to tell.
# None of them gave an answer, so they are unavailable; the cause says what to do.
_NO_SIDECAR_SEEN: Final = (
    ("Failed parsing HTTP/2", _NOT_HTTP2),
    ("Trying to connect an http1.x server", _NOT_HTTP2),
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("CERTIFICATE_VERIFY_FAILED", _NOT_TRUSTED),
    ("Hostname Verification Check failed", _OTHER_NAME),
    ("is not in peer certificate", _OTHER_NAME),
)
# Who reaches a limit of size asked for too much, and would again; it is no overload. So
# say the gRPC libraries a sidecar may be built with.
_TOO_LARGE: Final = (
    "larger than max",
    "size larger than",
    "exceeds maximum size",
    "metadata size exceeds",
)
_CLOSED_AT_ONCE: Final = ("Socket closed", "Connection reset")
_CONNECTING: Final = "failed to connect"
# What gRPC says of a call that it never sent, as no connection came up.
_NEVER_SENT: Final = (
    "failed to connect to all addresses; last error: ",
    "errors resolving ",
    "DNS resolution failed",
)
# Answers by which a server says that it did not do it. The others (INTERNAL, UNKNOWN,
# ABORTED, ...) say only that something went wrong, be it after it was done.
_NOT_DONE: Final = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.UNAUTHENTICATED,
}


def error_of(
    failure: grpc.Call | grpc.aio.AioRpcError,
    *,
    method: str,
    target: str,
    timeout: float,
) -> SidecarError:
    """Return the project's error for a failed call of a method, given by its path."""
    code = failure.code()
    details = failure.details() or "no details"
    kind, cause = _judge(code, details, timeout)
    return kind(
        method=name_of(method),
        target=target,
        cause=cause,
        code=code.name,
        may_have_arrived=code not in _NOT_DONE and not _was_never_sent(code, details),
    )


def _was_never_sent(code: grpc.StatusCode, details: str) -> bool:
    return code is grpc.StatusCode.UNAVAILABLE and details.startswith(_NEVER_SENT)


def _judge(
    code: grpc.StatusCode, details: str, timeout: float
) -> tuple[type[SidecarError], str]:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return SidecarTimeout, f"no answer within {timeout:g} s"
    if code is grpc.StatusCode.UNIMPLEMENTED:
        cause = f"{_NO_SIDECAR}, or one too old to know this method: {details}"
        return SidecarRejected, cause
    if code not in _MAY_PASS or _is_too_large(code, details):
        return SidecarRejected, details
    for sign, cause in _NO_SIDECAR_SEEN:
        if sign in details:
            return SidecarUnavailable, f"{cause}: {details}"
    if _CONNECTING in details and any(sign in details for sign in _CLOSED_AT_ONCE):
        details += "; if it speaks TLS, pass root_certificates"
    return SidecarUnavailable, details


def _is_too_large(code: grpc.StatusCode, details: str) -> bool:
    said = details.lower()
    return code is grpc.StatusCode.RESOURCE_EXHAUSTED and any(
        sign in said for sign in _TOO_LARGE
    )


def closed(method: str, target: str) -> SidecarUnavailable:
    """Return the error of a call whose client was closed under it."""
    return SidecarUnavailable(
        method=name_of(method),
        target=target,
        cause="the client was closed during the call",
        code="CANCELLED",
    )


def no_turn(
    method: str, target: str, *, timeout: float, max_in_flight: int
) -> SidecarTimeout:
    """Return the error of a call that found no free place before its deadline."""
    return SidecarTimeout(
        method=name_of(method),
        target=target,
        cause=f"{max_in_flight} calls were in flight for {timeout:g} s",
        code="DEADLINE_EXCEEDED",
        may_have_arrived=False,
    )


def name_of(path: str) -> str:
    """Return `Name` of `/package.Service/Name`."""
    return path.rpartition("/")[2]
