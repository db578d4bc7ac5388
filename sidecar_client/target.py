"""Where a sidecar listens: the forms of a target, and what each means to gRPC.

Whether a sidecar is started does not live here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sidecar_client.errors import ConfigurationError

_FORMS: Final = (
    'use "host:port", "unix:/path/of/socket" or "dns:///name:port", '
    'such as "127.0.0.1:80"'
)
_HOST_PORT: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]]+):(?P<port>[0-9]{1,5})"
)
_LONGEST_SOCKET_PATH: Final = 107


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An address to connect to."""

    address: str
    """As gRPC takes it and as error messages show it."""
    round_robin: bool = False
    """Whether calls are spread over every address the name resolves to."""


def parse_target(text: object) -> Target:
    """Return the target that `text` writes down, else raise `ConfigurationError`."""
    if not isinstance(text, str) or not text:
        raise ConfigurationError(f"target is {text!r}; {_FORMS}.")
    if text.startswith("unix:"):
        return _unix(text)
    if text.startswith("dns:"):
        return _dns(text)
    _check_host_port(text, shown=text)
    return Target(address=text)


def target_of(host: object, port: object) -> Target:
    """Return the target of a host and a port given apart."""
    if not isinstance(host, str) or not host:
        raise ConfigurationError(
            f"remote_sidecar_host is {host!r}; use a host name or an IP address."
        )
    check_port("remote_sidecar_port", port)
    bare_ipv6 = ":" in host and not host.startswith("[")
    address = f"[{host}]:{port}" if bare_ipv6 else f"{host}:{port}"
    if not _HOST_PORT.fullmatch(address):
        raise ConfigurationError(
            f"remote_sidecar_host is {host!r}; use a host name or an IP address "
            "without scheme, port and path."
        )
    return Target(address=address)


def check_port(name: str, port: object) -> int:
    """Return `port` when it is one, else raise `ConfigurationError`."""
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536:
        raise ConfigurationError(f"{name} is {port!r}; use a number from 1 to 65535.")
    return port


def _unix(text: str) -> Target:
    path = text.removeprefix("unix:")
    if not path.strip("/"):
        raise ConfigurationError(
            f'target is {text!r}; name the socket, as in "unix:/run/sidecar.sock".'
        )
    if len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise ConfigurationError(
            f"target is {text!r}; a socket's path has at most "
            f"{_LONGEST_SOCKET_PATH} bytes: use a shorter one."
        )
    return Target(address=text)


def _dns(text: str) -> Target:
    _, _, name = text.removeprefix("dns:").rpartition("/")
    _check_host_port(name, shown=text)
    return Target(address=text, round_robin=True)


def _check_host_port(text: str, *, shown: str) -> None:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"target is {shown!r}; {_FORMS}.")
    if not 0 < int(match["port"]) < 65536:
        raise ConfigurationError(f"target is {shown!r}; use a port from 1 to 65535.")
