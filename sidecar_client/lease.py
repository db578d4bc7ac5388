"""A lease on a running local sidecar: it lives while somebody holds one.

Starting the sidecar does not live here.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

HELLO: Final = "stigg-guard-local-sidecar"

_logger: Final = logging.getLogger("sidecar_client.local")
_held: weakref.WeakSet[Lease] = weakref.WeakSet()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a local sidecar says of itself when it is ready."""

    pid: int
    target: str
    catalog: str
    """The catalog's absolute path, or `demo`."""


class Lease:
    """An open control connection. The kernel ends it when this process dies."""

    def __init__(self, connection: socket.socket, hello: Hello, rest: bytes) -> None:
        self.hello = hello
        self.is_held = True
        self._connection = connection
        self._rest = rest
        _held.add(self)
        threading.Thread(
            target=self._relay_logs, name="stigg-guard-local-sidecar", daemon=True
        ).start()

    def release(self) -> None:
        """Give the lease back; the last one given back ends the sidecar."""
        self.is_held = False
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The sidecar was gone first.
            return

    def leave_to_parent(self) -> None:
        """Close this process's copy alone; the parent's lease goes on."""
        self.is_held = False
        os.close(self._connection.detach())

    def _relay_logs(self) -> None:
        buffered = self._rest
        with self._connection:
            while True:
                *lines, buffered = buffered.split(b"\n")
                for line in lines:
                    _log(line)
                received = _receive(self._connection)
                if not received:
                    break
                buffered += received
        self.is_held = False


def connect(path: Path, *, timeout: float) -> Lease | None:
    """Take a lease of the sidecar at this control socket; None when there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        connection.connect(str(path))
        line, rest = _first_line(connection)
        connection.settimeout(None)
        hello = _hello(line)
    except OSError:
        # Not there, not yet there, or on its way out.
        hello, rest = None, b""
    if hello is None:
        connection.close()
        return None
    return Lease(connection, hello, rest)


def _first_line(connection: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\n" not in received:
        more = connection.recv(65536)
        if not more:
            return b"", b""
        received += more
    line, _, rest = received.partition(b"\n")
    return line, rest


def _hello(line: bytes) -> Hello | None:
    said = _json(line)
    if said.get("hello") != HELLO:
        return None
    return Hello(
        pid=int(said["pid"]), target=str(said["target"]), catalog=str(said["catalog"])
    )


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _log(line: bytes) -> None:
    record = _json(line)
    level = logging.getLevelNamesMapping().get(str(record.get("level")), logging.INFO)
    if "message" in record:
        _logger.log(level, "%s", record["message"])


def _json(line: bytes) -> dict[str, Any]:
    try:
        said: object = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _leave_leases_to_the_parent() -> None:
    # Else the sidecar would live until the last of the parent's children ends.
    for lease in list(_held):
        if lease.is_held:
            lease.leave_to_parent()
    _held.clear()


os.register_at_fork(after_in_child=_leave_leases_to_the_parent)
