"""The processes of the rounds: application, sidecar, Redis; started, killed, started.

What is done to them and when lives in `rounds`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from stigg_guard.metering.outbox.base import Outbox
from stigg_guard.metering.outbox.locations import open_outbox
from tests.crash.proxy import Proxy
from tests.crash.sidecar import entries
from tests.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 6
LAG = 0.5
LEASE = 5.0
"""Longer than a report may be under way: one of a dead worker may still arrive."""
WORKERS = 4


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until it is so, or fail with what was waited for."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, f"it did not come about: {what}"
        time.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How the application is set up: its outbox, and what it reaches the sidecar by."""

    outbox: str
    through_proxy: bool = False
    on_ambiguous: str = "reconcile"


class Cast:
    """Everything that runs. `folder` is theirs; nothing of it outlives `close`."""

    def __init__(self, setup: Setup, folder: Path, *, seed: int) -> None:
        self.setup = setup
        self.folder = folder
        self.journal = folder / "journal"
        self.redis = RedisServer(folder)
        self.redis.start()
        self._sidecar_port = free_port()
        self._sidecar: subprocess.Popen[bytes] | None = None
        self.start_sidecar()
        self.proxy = Proxy(self._sidecar_port, seed=seed)
        self.port = free_port()
        self._env = os.environ | {
            "CRASH_FOLDER": str(folder),
            "CRASH_GUARD": json.dumps(self._guard()),
            "PYTHONPATH": str(ROOT),
        }
        if setup.outbox == "django":
            self._run("migrate")
        self._app = self._start_app()

    def _guard(self) -> dict[str, Any]:
        port = self.proxy.port if self.setup.through_proxy else self._sidecar_port
        return {
            "TARGET": f"127.0.0.1:{port}",
            "TIMEOUT": 1.0,
            "WRITE_TIMEOUT": 1.0,
            "ON_UNAVAILABLE": "deny",
            "LAST_KNOWN_FOR": 0,
            "HOLDS": self.redis.url,
            "HOLDS_ON_UNAVAILABLE": "deny",
            "HOLDS_LEASE": LEASE,
            "HOLDS_WAIT": 0.2,
            "OUTBOX": self.location,
            "ON_AMBIGUOUS": self.setup.on_ambiguous,
        }

    @property
    def location(self) -> str:
        """Where the outbox is."""
        kinds = {
            "sqlite": str(self.folder / "outbox.db"),
            "redis": self.redis.url,
            "django": "django",
        }
        return kinds[self.setup.outbox]

    def outbox(self) -> Outbox:
        """The outbox, as another process sees it: this one."""
        if self.setup.outbox == "django":
            os.environ.update(self._env)
            import_module("tests.crash.site")
        return open_outbox(self.location)

    def used(self, customer: str) -> list[str]:
        """The requests whose usage the sidecar counted."""
        return [
            e["request"] for e in entries(self.journal) if e["customer"] == customer
        ]

    def finished(self, customer: str) -> set[str]:
        """The requests whose view ran to its end."""
        lines = (self.folder / "finished").read_text().splitlines()
        return {line.split()[1] for line in lines if line.split()[0] == customer}

    # What is done to them

    def start_sidecar(self) -> None:
        """Start it, on its port and journal, and wait until it listens."""
        if self._sidecar is not None:
            return
        self._sidecar = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.crash.sidecar"),
                *(str(self._sidecar_port), str(self.journal), str(LIMIT), str(LAG)),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._sidecar.stdout is not None
        assert self._sidecar.stdout.readline() == b"ready\n"

    def kill_sidecar(self) -> None:
        """End it with SIGKILL."""
        process, self._sidecar = self._sidecar, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def kill_worker(self, chance: random.Random) -> None:
        """End one of gunicorn's workers with SIGKILL; its master starts another."""
        with suppress(psutil.Error):
            workers = psutil.Process(self._app.pid).children()
            if workers:
                chance.choice(workers).send_signal(signal.SIGKILL)

    def restart_redis(self) -> None:
        """End it with SIGKILL, and start it on what it wrote down."""
        self.redis.kill()
        self.redis.start()

    def _start_app(self) -> subprocess.Popen[bytes]:
        with (self.folder / "gunicorn.log").open("wb") as log:
            app = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "tests.crash.site:application"),
                    *("--bind", f"127.0.0.1:{self.port}", "--workers", str(WORKERS)),
                    *("--worker-class", "gthread", "--threads", "16"),
                    *("--timeout", "60", "--graceful-timeout", "10"),
                ],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
            )
        wait_for(self._answers, "the application listens")
        return app

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _run(self, *command: str) -> None:
        code = (
            "import tests.crash.site;"
            "from django.core.management import call_command;"
            f"call_command({', '.join(map(repr, command))}, verbosity=0)"
        )
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=self._env, check=True
        )

    def close(self) -> None:
        """End everything."""
        self._app.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._app.wait(20)
        self._app.kill()
        self._app.wait()
        self.kill_sidecar()
        self.proxy.close()
        self.redis.kill()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
