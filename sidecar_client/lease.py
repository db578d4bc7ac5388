"""A lease on a running local sidecar, which lives while somebody holds one.

Also how calls wait for a lease that is being got; starting the sidecar is in `child`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
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
    http: str | None
    """Where it serves HTTP, such as `http://127.0.0.1:50124`; None: nowhere."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """What those who share it have to agree on, by the names of variables."""


class Attempt:
    """A try to get a lease, made in a thread of its own; any number of calls wait."""

    __slots__ = (
        "_ended",
        "_ended_at",
        "_lock",
        "_waiting",
        "closed",
        "failure",
        "first",
    )

    def __init__(self, *, first: bool) -> None:
        self.first = first
        """Whether no sidecar has served this client yet."""
        self.failure: str | None = None
        self.closed = False
        """Whether the client was closed meanwhile."""
        self._ended = threading.Event()
        self._ended_at = 0.0
        self._lock = threading.Lock()
        self._waiting: set[asyncio.Future[None]] = set()

    def is_spent(self, pause: float) -> bool:
        """Whether it is time for another: not at once after one that failed."""
        return self._ended.is_set() and (
            self.failure is None or time.monotonic() - self._ended_at > pause
        )

    def wait(self, seconds: float | None) -> None:
        """Return when it ended, or after so long."""
        self._ended.wait(seconds)

    async def wait_in_loop(self, seconds: float | None) -> None:
        """Return when it ended, or after so long; no thread waits."""
        over = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._ended.is_set():
                return
            self._waiting.add(over)
        try:
            await asyncio.wait([over], timeout=seconds)
        finally:
            with self._lock:
                self._waiting.discard(over)

    def end(self, *, failure: str | None = None, closed: bool = False) -> None:
        """Let the calls go on; only the first end counts."""
        with self._lock:
            if self._ended.is_set():
                return
            self.failure, self.closed = failure, closed
            self._ended_at = time.monotonic()
            self._ended.set()
            waiting = list(self._waiting)
        for over in waiting:
            # A loop that was closed meanwhile has nobody left to tell.
            with contextlib.suppress(RuntimeError):
                over.get_loop().call_soon_threadsafe(_end, over)


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


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
    if said.get("hello") != HELLO or not isinstance(said.get("pid"), int):
        return None
    return Hello(
        pid=said["pid"],
        target=str(said.get("target")),
        catalog=str(said.get("catalog")),
        http=str(said["http"]) if said.get("http") else None,
        settings=_texts(said.get("settings")),
    )


def _texts(said: object) -> dict[str, str]:
    if not isinstance(said, dict):
        return {}
    texts = cast("dict[object, object]", said)
    return {str(name): str(value) for name, value in texts.items()}


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
