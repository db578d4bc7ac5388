"""Real PostgreSQL and MariaDB servers for tests, each in a folder that goes with it.

Debian's `postgresql` and `mariadb-server` must be there: without them the tests that
need them fail. The system's own servers are left alone.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar


class DatabaseServer(ABC):
    """A server on a socket in its folder; it can be ended and started again.

    Such servers refuse to run as root: they run as the user that their package made, or
    as the one who runs the tests.
    """

    account: ClassVar[str]
    """Whom the package makes."""
    fast_end: ClassVar[signal.Signals]
    """What ends it, and all its processes, without a wait for clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        assert self.command
        self._user = self.account if os.getuid() == 0 else None
        if self._user is not None:
            shutil.chown(folder, self._user, self._user)

    @property
    @abstractmethod
    def django(self) -> dict[str, object]:
        """An entry of Django's DATABASES."""

    @abstractmethod
    def install(self) -> None:
        """Write what an empty server has."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers."""

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """The server and its options; fails when its package is missing."""

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self.folder / "server.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                # It ends with the tests, also when they are killed.
                ["setpriv", "--pdeathsig", self.fast_end.name[3:], *self.command],
                cwd=self.folder,
                user=self._user,
                group=self._user,
                stdout=output,
                stderr=output,
            )
        give_up = time.monotonic() + 30
        while not self.is_ready():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, f"no answer: {log.read_text()}"
            time.sleep(0.01)

    def end(self) -> None:
        """End it; clients lose their connections."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(self.fast_end)
            process.wait(30)

    def run(self, *command: str) -> None:
        """Run a program of the package to its end."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


class PostgreSQL(DatabaseServer):
    """A PostgreSQL server that trusts everybody and never waits for the disk."""

    account = "postgres"
    fast_end = signal.SIGINT

    @property
    def django(self) -> dict[str, object]:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": str(self.folder),
            "USER": "tests",
            "NAME": "postgres",
        }

    def install(self) -> None:
        self.run(
            *(self._program("initdb"), "--pgdata", str(self.data), "--auth=trust"),
            *("--username=tests", "--no-sync", "--encoding=UTF8", "--locale=C"),
        )

    def is_ready(self) -> bool:
        # It listens before it lets anybody in; this file says more.
        status = self.data / "postmaster.pid"
        return status.is_file() and "ready" in status.read_text()

    @property
    def command(self) -> list[str]:
        return [
            *(self._program("postgres"), "-D", str(self.data), "-k", str(self.folder)),
            *("-c", "listen_addresses=", "-c", "fsync=off"),
        ]

    def _program(self, name: str) -> str:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        path = str(found[-1]) if found else shutil.which(name)
        assert path, f"{name} is missing: apt-get install postgresql"
        return path


class MariaDB(DatabaseServer):
    """A MariaDB server that asks for no password and never waits for the disk."""

    account = "mysql"
    fast_end = signal.SIGTERM

    @property
    def address(self) -> Path:
        """The socket's file."""
        return self.folder / "mariadb.sock"

    @property
    def django(self) -> dict[str, object]:
        return {
            "ENGINE": "django.db.backends.mysql",
            "HOST": str(self.address),
            "USER": "root",
            "NAME": "tests",
            "OPTIONS": {"charset": "utf8mb4"},
        }

    def install(self) -> None:
        # Without tables of users and rights: nobody asks for them.
        self.data.mkdir()
        if self._user is not None:
            shutil.chown(self.data, self._user, self._user)
        create = self.folder / "create.sql"
        create.write_text("CREATE DATABASE IF NOT EXISTS tests;")

    def is_ready(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.address))
            return True
        return False

    @property
    def command(self) -> list[str]:
        return [
            *(self._program("mariadbd"), "--no-defaults", f"--datadir={self.data}"),
            *(f"--socket={self.address}", "--skip-networking", "--skip-grant-tables"),
            *("--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync"),
            *("--innodb-log-file-size=16M", "--innodb-buffer-pool-size=32M"),
            *("--innodb-stats-persistent=OFF", "--character-set-server=utf8mb4"),
            f"--init-file={self.folder}/create.sql",
        ]

    def _program(self, name: str) -> str:
        path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/bin")
        assert path, f"{name} is missing: apt-get install mariadb-server"
        return path


@contextmanager
def running(kind: type[DatabaseServer]) -> Generator[DatabaseServer]:
    """A running server with a folder of its own."""
    with tempfile.TemporaryDirectory(prefix=f"{kind.__name__.lower()}-") as folder:
        server = kind(Path(folder))
        server.install()
        server.start()
        try:
            yield server
        finally:
            server.end()
