"""Whether an address can be bound, and who has it if not.

Only the diagnosis of ports lives here; the server that wants one is `server`.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from ipaddress import ip_address

import psutil

from sidecar_client.errors import ConfigurationError

_COMMAND_SHOWN = 80


_Address = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


class AddressError(ConfigurationError):
    """The sidecar cannot listen where it was told to."""


class PortTaken(AddressError):
    """Another process listens there."""

    def __init__(self, told: str, cure: str) -> None:
        super().__init__(f"{told}; {cure}")
        self.told = told
        """Which port is taken, and by whom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What people type to choose an address."""

    host: str = "--host"
    port: str = "--port"


GRPC = Options()
HTTP = Options(host="--http-host", port="--http-port")


def check_address(host: str, port: int) -> None:
    """Return if `host` and `port` can be bound; otherwise say why not, and the cure.

    gRPC itself only says that binding failed, and logs from its C core.
    """
    bound(host, port).close()


def bound(host: str, port: int, options: Options = GRPC) -> socket.socket:
    """A socket that has the address and does not listen yet.

    Otherwise an error says why not, and which option is the cure.
    """
    if not 0 <= port <= 65535:
        raise AddressError(f"port {port} is no port; use one from 0 to 65535")
    family, kind, protocol, _, address = _resolved(host, port)
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        raise _why(error, host, port, options) from None
    return made


def address(host: str, port: int) -> str:
    """`host:port` as gRPC writes it, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_host(host: str) -> None:
    """Return if `host` has an address, of this machine or of another."""
    _resolved(host, 0)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _resolved(host: str, port: int) -> _Address:
    if not host:
        # The system would take any address for it, and gRPC none.
        raise AddressError("the host is empty; use one such as 127.0.0.1")
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, ValueError) as error:
        raise AddressError(
            f"host {host!r} is no address ({error}); use one such as 127.0.0.1"
        ) from None


def _why(error: OSError, host: str, port: int, options: Options) -> AddressError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} on {host} is taken by {_holder(port)}",
            f"stop it, or choose another port with {options.port} (0 takes a free one)",
        )
    if error.errno == errno.EACCES:
        return AddressError(
            f"port {port} on {host} needs privileges that this process lacks; "
            f"choose one above 1023 with {options.port}"
        )
    return AddressError(
        f"port {port} on {host} cannot be bound ({error.strerror}); choose an address "
        f"of this machine with {options.host}, such as 127.0.0.1"
    )


def _holder(port: int) -> str:
    """The process that listens on the port, as far as we may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            # An unconnected socket has no address, hence the tuple.
            at = tuple(connection.laddr)
            listens = connection.status == psutil.CONN_LISTEN
            if listens and at[1:] == (port,) and connection.pid:
                return _named(connection.pid)
    except psutil.Error:
        pass
    return "another process"


def _named(pid: int) -> str:
    command = " ".join(" ".join(psutil.Process(pid).cmdline()).split())
    if len(command) > _COMMAND_SHOWN:
        command = f"{command[: _COMMAND_SHOWN - 3]}..."
    return f"process {pid} ({command})"
