"""The control socket: who needs this sidecar, and who hears its log.

Every connection is a lease; when the last is gone, `run_out` returns. Serving gRPC does
not live here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
from collections import deque
from collections.abc import Mapping
from typing import Self

from sidecar_client.errors import ConfigurationError

HELLO = "stigg-guard-local-sidecar"
FIRST_LEASE = 10.0
"""Seconds in which somebody has to take the first lease."""
GRACE = 0.5
"""Seconds between the last lease's end and ours."""
_UNREAD_BYTES = 1024 * 1024
_UNHEARD_RECORDS = 200


class Leases:
    """The connections of the control socket, oldest first."""

    def __init__(self, hello: Mapping[str, object]) -> None:
        self._hello = _line(hello)
        self._held: list[asyncio.StreamWriter] = []
        self._changed = asyncio.Event()
        self._unheard: deque[bytes] = deque(maxlen=_UNHEARD_RECORDS)

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Hold one lease for as long as its connection is open."""
        writer.write(self._hello)
        self._held.append(writer)
        self._changed.set()
        self._tell()
        try:
            while await reader.read(4096):
                pass  # A holder has nothing to say; only that it is there.
        except ConnectionError:
            pass
        finally:
            self._held.remove(writer)
            self._changed.set()
            writer.close()

    async def run_out(
        self, *, first: float = FIRST_LEASE, grace: float = GRACE
    ) -> None:
        """Return when no lease came within `first` seconds or all ended `grace` ago."""
        patience = first
        while self._held or await self._change_within(patience):
            patience = grace
            if self._held:
                await self._change_within(None)

    async def _change_within(self, seconds: float | None) -> bool:
        self._changed.clear()
        try:
            # `wait_for` of Python 3.11 may forget that it was cancelled.
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    @property
    def waiting_bytes(self) -> int:
        """How much the holders have not read yet."""
        return sum(w.transport.get_write_buffer_size() for w in self._held)

    def hear(self, record: Mapping[str, object]) -> None:
        """Tell a log record to the oldest lease, or keep it until there is one."""
        self._unheard.append(_line(record))
        self._tell()

    def _tell(self) -> None:
        if not self._held:
            return
        oldest = self._held[0]
        while self._unheard:
            line = self._unheard.popleft()
            # A holder that does not read must not fill our memory.
            if oldest.transport.get_write_buffer_size() < _UNREAD_BYTES:
                oldest.write(line)


class LeaseLog(logging.Handler):
    """Sends log records, from any thread, to the leases of a loop."""

    def __init__(self, leases: Leases, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._leases = leases
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        told: Mapping[str, object] = {
            "level": record.levelname,
            "logger": record.name,
            "message": self.format(record),
        }
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leases.hear, told)


class ControlSocket:
    """A listening AF_UNIX socket for this user alone, removed when closed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            self.socket.bind(path)
            os.chmod(path, 0o600)
            self._inode = os.stat(path).st_ino
        except OSError as error:
            self.socket.close()
            raise ConfigurationError(
                f"the control socket {path} cannot be made ({error}); "
                "choose a short path in a directory of yours with --control-socket"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Gone first, so that nobody connects to a sidecar that is leaving.
        try:
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        except FileNotFoundError:
            pass
        self.socket.close()


def _remove_stale(path: str) -> None:
    """Remove the socket of a sidecar that is gone; leave all else alone."""
    if not os.path.exists(path) or not stat.S_ISSOCK(os.stat(path).st_mode):
        return  # If it is something else, binding fails.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise ConfigurationError(
        f"the control socket {path} belongs to a running local sidecar; "
        "connect to that one, or choose another path with --control-socket"
    )


def _line(told: Mapping[str, object]) -> bytes:
    return json.dumps(dict(told)).encode() + b"\n"
