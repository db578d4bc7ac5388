"""An example application in a process of its own, started as its user starts it.

What it is asked lives in the tests.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import httpx
import psutil

from example_project.revvenu.plans import TEMPLATES
from example_project.welcome import ESSENTIALS
from sidecar_client import GetEntitlementRequest, SyncStigg

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = sys.executable
BIN: Final = Path(PYTHON).parent
PATIENCE: Final = 30.0
"""Seconds that something may take on a busy machine before a test gives up."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def eventually(is_so: Callable[[], bool], what: str) -> None:
    """Wait until it is so, within bounds."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"waited {PATIENCE:g} s in vain: {what}"
        time.sleep(0.05)


def templates_counted(target: str) -> float:
    """How many templates a sidecar counts for the Essentials customer."""
    request = GetEntitlementRequest(customer_id=ESSENTIALS, feature_id=TEMPLATES)
    with SyncStigg(target=target, timeout=5) as client:
        return client.get_entitlement(request).metered.current_usage


class Application:
    """One running example: where it listens, what it said, and its sidecar."""

    def __init__(
        self, command: list[str], *, home: Path, port: int, env: Mapping[str, str]
    ) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.sidecar_port = int(env.get("REVVENU_SIDECAR_PORT", "0"))
        self._log = home / f"application-{port}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [part.format(port=port) for part in command],
                cwd=ROOT,
                env={**_environment(home), **env},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        """Everything it printed so far."""
        return self._log.read_text(errors="replace")

    def wait_until_it_serves(self) -> None:
        """Return once it answers; fail with what it said when it ended."""
        eventually(self._answers, f"{self.url} answers")

    def _answers(self) -> bool:
        assert self._process.poll() is None, self.said
        try:
            httpx.get(f"{self.url}/plans", timeout=5)
        except httpx.TransportError:
            return False
        return True

    def sidecars(self) -> list[psutil.Process]:
        """The local sidecars that run on its port."""
        return [found for found in psutil.process_iter() if self._is_sidecar(found)]

    def _is_sidecar(self, process: psutil.Process) -> bool:
        try:
            command = process.cmdline()
        except psutil.Error:
            return False
        at_port = ("--port", str(self.sidecar_port))
        return "sidecar_client.local" in command and at_port in pairwise(command)

    def kill_sidecar(self) -> None:
        """End its local sidecar as an accident does."""
        [sidecar] = self.sidecars()
        sidecar.kill()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it by a signal; its exit status."""
        self._process.send_signal(number)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


@contextmanager
def running(command: list[str], home: Path, **env: str) -> Generator[Application]:
    """A started application; it and its sidecar are gone afterwards."""
    env.setdefault("REVVENU_SIDECAR_PORT", str(free_port()))
    application = Application(command, home=home, port=free_port(), env=env)
    try:
        application.wait_until_it_serves()
        yield application
    finally:
        application.stop()
    eventually(lambda: not application.sidecars(), "the local sidecar ends")


def run(command: list[str], home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**_environment(home), **env},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _environment(home: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REVVENU_", "STIGG_", "DJANGO_", "PYTEST_"))
    }
    return {
        **kept,
        "HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "REVVENU_DATABASE": str(home / "revvenu.sqlite3"),
        "REVVENU_OUTBOX": str(home / "usage.sqlite3"),
    }
