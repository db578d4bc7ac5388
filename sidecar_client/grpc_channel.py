"""How a channel is opened: options, service config, credentials.

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

from sidecar_client.errors import ConfigurationError
from sidecar_client.methods import METHODS, SERVICE
from sidecar_client.options import ClientOptions
from sidecar_client.processes import inherited

_LARGEST_MESSAGE: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSettings:
    """What a channel is opened with."""

    target: str
    options: tuple[tuple[str, Any], ...]
    credentials: grpc.ChannelCredentials | None
    max_in_flight: int


def check_fork() -> None:
    """Refuse to open a channel where calls would hang since the process was forked."""
    if inherited() and not _forks():
        raise ConfigurationError(
            "this process was forked after its parent had asked the sidecar, with "
            "GRPC_ENABLE_FORK_SUPPORT off, so calls would hang; unset it, or make the "
            "first call after the fork."
        )


def _forks() -> bool:
    wanted = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "1")
    return wanted.lower() not in {"0", "false", "no", "n", "f"}


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
