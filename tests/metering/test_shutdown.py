"""The end of a process: what waits in its memory is sent first, in a bounded time."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.counting_sidecar import CountingSidecar, counting_sidecar

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sidecar() -> Iterator[CountingSidecar]:
    with counting_sidecar() as running:
        yield running


def run(sidecar: CountingSidecar, *options: str) -> subprocess.Popen[str]:
    command = (sys.executable, "-m", "tests.metering.scripts.reporter", sidecar.target)
    return subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_program_that_ends_sends_its_queue(sidecar: CountingSidecar) -> None:
    with run(sidecar, "300") as program:
        program.communicate(timeout=60)
    assert program.returncode == 0
    assert len(sidecar.events) == 300


def test_sigterm_ends_a_program_orderly(sidecar: CountingSidecar) -> None:
    with run(sidecar, "300", "waits") as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "reported\n"
        program.terminate()
        program.communicate(timeout=60)
    assert program.returncode == 128 + signal.SIGTERM
    assert len(sidecar.events) == 300


def test_a_sidecar_that_is_gone_holds_the_end_up_no_longer_than_told(
    sidecar: CountingSidecar,
) -> None:
    sidecar.stop()
    with run(sidecar, "3") as program:
        _, errors = program.communicate(timeout=60)
    # The program has set up no logging: what is lost is told all the same.
    assert errors.count("Usage was lost: event email.sent") == 3


SERVERS = {
    "gunicorn": ("gunicorn", "--workers", "2", "tests.metering.scripts.web:flask_app"),
    "uvicorn": ("uvicorn", "tests.metering.scripts.web:starlette_app"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_workers_of_a_server_send_their_queues(
    sidecar: CountingSidecar, server: str
) -> None:
    # Nothing is sent before the end: the sidecar comes back only then.
    target = sidecar.target
    sidecar.stop()
    with serving(SERVERS[server], target) as (process, port):
        for _ in range(20):
            assert post(port) == 200
        process.send_signal(signal.SIGTERM)
        sidecar.start()
        process.wait(60)
    assert len(sidecar.events) == 20


@contextmanager
def serving(
    command: tuple[str, ...], target: str
) -> Generator[tuple[subprocess.Popen[bytes], int]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    where = ("--bind", f"127.0.0.1:{port}")
    if command[0] == "uvicorn":
        where = ("--port", str(port))
    process = subprocess.Popen(
        [sys.executable, "-m", *command, *where],
        cwd=ROOT,
        env=os.environ | {"TARGET": target, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        give_up = time.monotonic() + 60
        while not _answers(port):
            assert time.monotonic() < give_up
            assert process.poll() is None
            time.sleep(0.05)
        yield process, port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def post(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/")
    status = connection.getresponse().status
    connection.close()
    return status
