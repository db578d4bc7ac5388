"""What a client is built with: checked once, then passed along.

Nothing is connected, started or read here.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeGuard

from sidecar_client.api import ApiOptions
from sidecar_client.child_settings import variables_of
from sidecar_client.errors import ConfigurationError
from sidecar_client.protocol.sidecar_pb2 import ApiConfig, LocalSidecarConfig
from sidecar_client.target import Target, check_port, parse_target, target_of

READ_TIMEOUT: Final = 0.25
WRITE_TIMEOUT: Final = 2.0
MAX_IN_FLIGHT: Final = 64
REMOTE_PORT: Final = 80
LOCAL_PORT: Final = 8443
LONGEST_SECONDS: Final = 86_400
"""A day. gRPC takes far longer deadlines for ones that are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSidecarOptions:
    """The local sidecar that a client starts, or shares when it runs already."""

    port: int
    catalog: Path | None
    """None: the demo catalog."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Environment variables that it gets beside those of this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Everything a client was told, in one checked value."""

    target: Target
    timeout: float
    write_timeout: float
    max_in_flight: int
    root_certificates: bytes | None
    """None: no TLS."""
    local: LocalSidecarOptions | None
    """None: the sidecar is somebody else's."""
    api: ApiOptions


def client_options(
    api_config: ApiConfig | None,
    *,
    remote_sidecar_host: str | None,
    remote_sidecar_port: int | None,
    local_sidecar_config: LocalSidecarConfig | None,
    target: str | None,
    timeout: float,
    write_timeout: float,
    max_in_flight: int,
    root_certificates: bytes | None,
    local_sidecar_port: int | None,
    local_sidecar_catalog: str | os.PathLike[str] | None,
) -> ClientOptions:
    """Check the arguments of a client; raise `ConfigurationError` for a wrong one."""
    _check_message("api_config", api_config, ApiConfig)
    _check_message("local_sidecar_config", local_sidecar_config, LocalSidecarConfig)
    remote = _remote(target, remote_sidecar_host, remote_sidecar_port)
    local = None
    if remote is None or local_sidecar_config is not None:
        local = _local(local_sidecar_port, local_sidecar_catalog, local_sidecar_config)
        remote = Target(address=f"127.0.0.1:{local.port}")
        _check_no_tls(root_certificates)
    elif local_sidecar_catalog is not None:
        raise ConfigurationError(
            f"local_sidecar_catalog is {os.fspath(local_sidecar_catalog)!r}, but a "
            "remote sidecar is used; leave out one of the two."
        )
    return ClientOptions(
        target=remote,
        timeout=check_seconds("timeout", timeout),
        write_timeout=check_seconds("write_timeout", write_timeout),
        max_in_flight=_check_count("max_in_flight", max_in_flight),
        root_certificates=_check_roots(root_certificates),
        local=local,
        api=ApiOptions.of(api_config),
    )


def check_seconds(name: str, value: object) -> float:
    """Return `value` when it is above 0 and at most a day."""
    if is_seconds(value) and value > 0:
        return float(value)
    raise ConfigurationError(
        f"{name} is {value!r}; use a number of seconds above 0, such as 0.25, and "
        f"at most {LONGEST_SECONDS}."
    )


def is_seconds(value: object) -> TypeGuard[float]:
    """Tell whether `value` is a finite number, of whatever sign, and at most a day."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -math.inf < value <= LONGEST_SECONDS
    )


def _remote(target: str | None, host: str | None, port: int | None) -> Target | None:
    if target is not None and (host is not None or port is not None):
        raise ConfigurationError(
            f"target is {target!r} and remote_sidecar_host is {host!r}; give either "
            "target or remote_sidecar_host with remote_sidecar_port."
        )
    if target is not None:
        return parse_target(target)
    if host is not None:
        return target_of(host, REMOTE_PORT if port is None else port)
    if port is not None:
        raise ConfigurationError(
            f"remote_sidecar_port is {port!r}, but there is no remote_sidecar_host; "
            'add it, such as remote_sidecar_host="127.0.0.1".'
        )
    return None


def _local(
    port: int | None,
    catalog: str | os.PathLike[str] | None,
    config: LocalSidecarConfig | None,
) -> LocalSidecarOptions:
    return LocalSidecarOptions(
        port=LOCAL_PORT if port is None else check_port("local_sidecar_port", port),
        catalog=None if catalog is None else Path(catalog).absolute(),
        settings=variables_of(config),
    )


def _check_message(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise ConfigurationError(
            f"{name} is {value!r}; use the {kind.__name__} of sidecar_client."
        )


def _check_no_tls(roots: bytes | None) -> None:
    if roots is not None:
        raise ConfigurationError(
            "root_certificates is given, but the local sidecar speaks no TLS; leave it "
            "out, or name a remote sidecar."
        )


def _check_roots(roots: object) -> bytes | None:
    if roots is None or (isinstance(roots, bytes) and _holds_certificates(roots)):
        return roots
    shown = f"{len(roots)} bytes" if isinstance(roots, bytes) else repr(roots)
    raise ConfigurationError(
        f"root_certificates is {shown} without a PEM certificate; pass the content of "
        'a PEM file, such as Path("ca.pem").read_bytes().'
    )


def _holds_certificates(pem: bytes) -> bool:
    # Else gRPC would only say "Failed to create security handshaker", at each call.
    import ssl

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=pem.decode("ascii")
        )
    except (ssl.SSLError, ValueError):
        return False
    return True


def _check_count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name} is {value!r}; use a whole number from 1.")
    return value
