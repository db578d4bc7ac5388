"""Requests a second of each framework's hello view, guarded in several ways.

The applications are in `apps`, one process for each variant; the sidecar is the fast
server, so that the views are compared and not what they ask.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.request import urlopen

import psutil

from bench import http_load
from bench.processes import ROOT, server
from bench.report import table
from bench.rounds import Figures, Rounds, run_rounds

CONNECTIONS: Final = (1, 16)
# One connection shows the latency, for which nothing is aimed at: fewer rounds do.
SHARE_OF_ROUNDS: Final = {1: 3, 16: 1}
OURS: Final = ("bare", "by hand", "guarded", "remembered")
_UVICORN: Final = ("uvicorn", "--no-access-log", "--log-level", "warning", "--port")
_GUNICORN: Final = (
    *("gunicorn", "--worker-class", "gthread", "--threads", "8"),
    *("--log-level", "warning", "--bind"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framework:
    """How a framework's application is served, and its variants."""

    app: str
    is_asgi: bool
    variants: tuple[str, ...] = OURS


FRAMEWORKS: Final = {
    "Starlette": Framework(
        app="starlette_app", is_asgi=True, variants=(*OURS, "vendor")
    ),
    "FastAPI": Framework(app="fastapi_app", is_asgi=True),
    "Flask": Framework(
        app="flask_app",
        is_asgi=False,
        variants=(*OURS, "vendor", "vendor, own thread"),
    ),
    "Django WSGI": Framework(app="django_app", is_asgi=False),
    "Django ASGI": Framework(app="django_app", is_asgi=True),
}


def measure(
    *, rounds: int, progress: Callable[[str], None], there_and_back: bool = True
) -> dict[tuple[str, int], Rounds]:
    """Measure every variant of every framework, by connections."""
    found: dict[tuple[str, int], Rounds] = {}
    with server("bench.fast_server") as target:
        for name, framework in FRAMEWORKS.items():
            with _running(framework, target) as apps:
                for connections in CONNECTIONS:
                    where = f"hello view, {name}, {connections} connections: "
                    found[name, connections] = run_rounds(
                        framework.variants,
                        max(1, rounds // SHARE_OF_ROUNDS[connections]),
                        partial(_load, apps, connections),
                        partial(_said, progress, where),
                        there_and_back=there_and_back,
                    )
    return found


def _load(apps: Mapping[str, _App], connections: int, variant: str) -> Figures:
    return apps[variant].load(connections)


def _said(progress: Callable[[str], None], where: str, text: str) -> None:
    progress(where + text)


@contextmanager
def _running(framework: Framework, target: str) -> Generator[dict[str, _App]]:
    """Every variant of a framework, warm."""
    with ExitStack() as stack:
        apps = {
            variant: stack.enter_context(_served(framework, variant, target))
            for variant in framework.variants
        }
        for app in apps.values():
            app.warm_up()
        yield apps


@dataclass(frozen=True, slots=True)
class _App:
    """A running application."""

    process: subprocess.Popen[bytes]
    url: str

    def warm_up(self) -> None:
        """Wait until it answers, and let its caches and connections fill."""
        give_up = time.monotonic() + 40
        while time.monotonic() < give_up and self.process.poll() is None:
            try:
                with urlopen(self.url, timeout=20) as answer:
                    assert answer.read() == b"hello", self.url
            except OSError:
                time.sleep(0.05)
            else:
                asyncio.run(http_load.python_load(self.url, 16, seconds=0.5))
                return
        raise RuntimeError(
            f"{self.process.args!r} did not answer; its errors are above"
        )

    def load(self, connections: int) -> Figures:
        before = self._cpu()
        figures = http_load.load(self.url, connections, seconds=1)
        return {**figures, "cpu": (self._cpu() - before) / figures["rate"] * 1e6}

    def _cpu(self) -> float:
        process = psutil.Process(self.process.pid)
        every = [process, *process.children(recursive=True)]
        times = [each.cpu_times() for each in every]
        return sum(each.user + each.system for each in times)


@contextmanager
def _served(framework: Framework, variant: str, target: str) -> Generator[_App]:
    port = _free_port()
    serve = _UVICORN if framework.is_asgi else _GUNICORN
    place = str(port) if framework.is_asgi else f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m"),
            *(*serve, place, f"bench.apps.{framework.app}:app"),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "BENCH_VARIANT": variant,
            "BENCH_TARGET": target,
            "BENCH_ASYNC": "1" if framework.is_asgi else "0",
        },
    )
    try:
        yield _App(process, f"http://127.0.0.1:{port}/hello")
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def tables(found: dict[tuple[str, int], Rounds]) -> str:
    """The figures as Markdown."""
    rows = [
        _row(found, name, variant)
        for name, framework in FRAMEWORKS.items()
        for variant in framework.variants
    ]
    head = ["framework", "view", "p50 µs (1)", "requests/s (1)", "requests/s (16)"]
    return table([*head, "CPU µs (16)", "/ bare (16)", "/ by hand (16)"], rows)


def _row(found: dict[tuple[str, int], Rounds], name: str, variant: str) -> list[str]:
    one, many = found[name, 1], found[name, 16]
    return [
        name,
        variant,
        f"{one.median(variant, 'p50'):,.0f}",
        f"{one.median(variant, 'rate'):,.0f}",
        f"{many.median(variant, 'rate'):,.0f}",
        f"{many.median(variant, 'cpu'):,.0f}",
        str(many.ratio(variant, "bare", "rate")),
        str(many.ratio(variant, "by hand", "rate")),
    ]
