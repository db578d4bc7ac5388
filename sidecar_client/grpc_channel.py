"""What both gRPC transports share: channel options, credentials and the error map.

Importing this module imports grpc, so the clients import it on their first call.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final

# Before the import: without it, grpcio before 1.72 cannot be used after a fork.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

import grpc

from sidecar_client.errors import (
    SidecarError,
    SidecarRejected,
    SidecarTimeout,
    SidecarUnavailable,
)
from sidecar_client.methods import METHODS, SERVICE
from sidecar_client.options import ClientOptions

_LARGEST_MESSAGE: Final = 16 << 20
_MAY_PASS: Final = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """What a channel is opened with."""

    target: str
    options: tuple[tuple[str, Any], ...]
    credentials: grpc.ChannelCredentials | None
    max_in_flight: int


def channel_settings(options: ClientOptions) -> ChannelSettings:
    """Return the gRPC side of a client's options."""
    roots = options.root_certificates
    return ChannelSettings(
        target=options.target.address,
        options=channel_options(round_robin=options.target.round_robin),
        credentials=None
        if roots is None
        else grpc.ssl_channel_credentials(root_certificates=roots),
        max_in_flight=options.max_in_flight,
    )


def channel_options(*, round_robin: bool) -> tuple[tuple[str, Any], ...]:
    """Return the options of every channel.

    A restarted sidecar is seen within half a second, a dead one within two.
    """
    return (
        # gRPC would send even calls to 127.0.0.1 through http_proxy.
        ("grpc.enable_http_proxy", 0),
        # The least back-off is also the time a connection may take to come up.
        ("grpc.initial_reconnect_backoff_ms", 50),
        ("grpc.min_reconnect_backoff_ms", 250),
        ("grpc.max_reconnect_backoff_ms", 250),
        # Also sets TCP_USER_TIMEOUT, by which a dead peer is noticed. Pinging sooner,
        # or without calls, makes servers answer "too_many_pings".
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 1_000),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
        ("grpc.max_send_message_length", _LARGEST_MESSAGE),
        ("grpc.service_config", json.dumps(_service_config(round_robin=round_robin))),
    )


def _service_config(*, round_robin: bool) -> dict[str, Any]:
    reads = [{"service": SERVICE, "method": m.name} for m in METHODS if m.is_read]
    retry = {
        "maxAttempts": 3,
        "initialBackoff": "0.02s",
        "maxBackoff": "0.1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config: dict[str, Any] = {"methodConfig": [{"name": reads, "retryPolicy": retry}]}
    if round_robin:
        config["loadBalancingConfig"] = [{"round_robin": {}}]
    return config


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
    kind: type[SidecarError] = SidecarRejected
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        kind, details = SidecarTimeout, f"no answer within {timeout:g} s"
    elif code in _MAY_PASS:
        kind = SidecarUnavailable
    elif code is grpc.StatusCode.UNIMPLEMENTED:
        details = (
            "what listens there is not a Stigg sidecar, or one too old to know this "
            f"method: {details}"
        )
    return kind(method=name_of(method), target=target, cause=details, code=code.name)


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
    )


def name_of(path: str) -> str:
    """Return `Name` of `/package.Service/Name`."""
    return path.rpartition("/")[2]
