"""A real Redis server for tests: started on a free port of loopback, ended with them.

Debian's `redis-server` must be there: without it the tests that need it fail.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


class RedisServer:
    """One server process; it can be stopped, killed and started again on its port.

    What is written is in its append-only file when it was acknowledged, so that not
    even `kill` loses it, unless `options` say otherwise.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.socket = folder / "redis.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = shutil.which("redis-server")
        assert program is not None, "redis-server is missing: apt-get install redis"
        self._process = subprocess.Popen(
            [
                *(program, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--dir", str(self.folder), "--save", "", "--appendonly", "yes"),
                *("--appendfsync", "always", "--unixsocket", str(self.socket)),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, "redis-server ended at its start"
            assert time.monotonic() < give_up, "redis-server does not answer"
            time.sleep(0.01)

    def stop(self) -> None:
        """Let it end in its own time."""
        self._end(kill=False)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._end(kill=True)

    def _end(self, *, kill: bool) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill() if kill else process.terminate()
            process.wait(30)

    def _answers(self) -> bool:
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as c,
        ):
            c.sendall(b"PING\r\n")
            # An error is an answer, too: a password is wanted.
            return c.recv(64)[:5] in (b"+PONG", b"-NOAU")
        return False


@contextmanager
def redis_server(*options: str) -> Generator[RedisServer]:
    """A running server with a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
