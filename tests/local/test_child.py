"""The child process: ready when it says hello, alive while somebody holds a lease."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import grpc
import httpx
import pytest

BOUND = 30.0
"""Seconds that anything may take before a test gives up."""

Start = Callable[..., "subprocess.Popen[str]"]


class Lease:
    """One connection to a control socket."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(BOUND)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._lines: IO[str] = self._socket.makefile(encoding="utf-8")
        self.hello = self.line()

    def line(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._lines.readline())
        return told

    def is_silent(self) -> bool:
        self._socket.settimeout(0.05)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) == b""
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(BOUND)

    def end(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Starts children, and ends what a failed test left."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-W",
                    "error::ResourceWarning",
                    "-m",
                    "sidecar_client.local",
                ),
                *("--control-socket", str(path)),
                *arguments,
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(child)
        return child

    yield run
    for child in running:
        if child.poll() is None:
            child.kill()
        child.communicate()


def lease(path: Path, child: subprocess.Popen[str]) -> Lease:
    """A lease of a child that may still be starting."""
    until = time.monotonic() + BOUND
    while time.monotonic() < until:
        try:
            return Lease(path)
        except OSError:
            assert child.poll() is None, child.communicate()[1]
            time.sleep(0.01)
    raise AssertionError("the child did not become ready")


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit status of a child that is about to end, and what it said."""
    errors = child.communicate(timeout=BOUND)[1]
    return child.returncode, errors


def test_child_says_hello_when_it_serves(path: Path, start: Start) -> None:
    child = start()
    held = lease(path, child)
    assert held.hello["hello"] == "stigg-guard-local-sidecar"
    assert held.hello["pid"] == child.pid
    assert held.hello["catalog"] == "demo"
    with grpc.insecure_channel(held.hello["target"]) as channel:
        grpc.channel_ready_future(channel).result(timeout=BOUND)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    about = httpx.get(f"{held.hello['http']}/local/about").json()
    assert about["target"] == held.hello["target"]
    held.end()
    assert ended(child) == (0, "")


def test_child_names_its_catalog_by_its_absolute_path(
    tmp_path: Path, path: Path, start: Start
) -> None:
    catalog = tmp_path / "plans.yaml"
    catalog.write_text("customers: [{id: c}]\n")
    child = start("--catalog", os.path.relpath(catalog))
    held = lease(path, child)
    assert held.hello["catalog"] == str(catalog)
    held.end()


def test_child_lives_as_long_as_one_lease(path: Path, start: Start) -> None:
    child = start()
    first = lease(path, child)
    second = Lease(path)
    first.end()
    third = Lease(path)
    second.end()
    third.end()
    began = time.monotonic()
    assert ended(child)[0] == 0
    assert time.monotonic() - began < 10
    assert not path.exists()


def test_child_ends_when_its_killed_holder_cannot_say_goodbye(
    path: Path, start: Start
) -> None:
    child = start()
    mine = lease(path, child)
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); "
        "s.connect(sys.argv[1]); s.recv(1); print('held', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        mine.end()
        holder.kill()
    assert ended(child)[0] == 0


def test_log_goes_to_the_oldest_lease(path: Path, start: Start) -> None:
    child = start("--log-level", "DEBUG")
    oldest = lease(path, child)
    records = [oldest.line()]
    while "Serving the catalog demo" not in records[-1]["message"]:
        records.append(oldest.line())
    assert records[-1]["level"] == "INFO"
    assert records[-1]["logger"] == "sidecar_client.local"
    second = Lease(path)
    ask_nonsense(oldest.hello["target"])
    assert "GetEntitlement: INVALID_ARGUMENT" in oldest.line()["message"]
    assert second.is_silent()
    oldest.end()
    # The server notices the end before or after the next record; ask until it did.
    heard = ""
    while "GetEntitlement: INVALID_ARGUMENT" not in heard:
        ask_nonsense(second.hello["target"])
        if not second.is_silent():
            heard = second.line()["message"]
    second.end()


def ask_nonsense(target: str) -> None:
    method = "/stigg.sidecar.v1.SidecarService/GetEntitlement"
    with grpc.insecure_channel(target) as channel, pytest.raises(grpc.RpcError):
        cast("Any", channel.unary_unary(method))(b"\xff", timeout=BOUND)


def test_interrupt_is_the_holders_matter_and_sigterm_ends(
    path: Path, start: Start
) -> None:
    child = start()
    held = lease(path, child)
    child.send_signal(signal.SIGINT)
    Lease(path).end()
    child.send_signal(signal.SIGTERM)
    assert ended(child) == (0, "")
    assert not path.exists()
    held.end()


def test_stale_socket_is_replaced(path: Path, start: Start) -> None:
    child = start()
    held = lease(path, child)
    child.kill()
    assert ended(child)[0] == -signal.SIGKILL
    assert path.exists()
    held.end()
    second = start()
    lease(path, second).end()
    assert ended(second)[0] == 0


def test_socket_of_a_living_child_is_left_alone(path: Path, start: Start) -> None:
    first = start()
    held = lease(path, first)
    status, errors = ended(start())
    assert status == 2
    assert errors.startswith(f"the control socket {path} belongs to a running local")
    Lease(path).end()
    held.end()


def test_file_that_is_no_socket_is_left_alone(path: Path, start: Start) -> None:
    path.write_text("mine")
    status, errors = ended(start())
    assert status == 2
    assert len(errors.splitlines()) == 1
    assert path.read_text() == "mine"


@pytest.mark.parametrize("wrong", ["port", "catalog", "path"])
def test_error_before_readiness_is_one_readable_line(
    tmp_path: Path, start: Start, wrong: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        arguments = {
            "port": ["--port", str(port)],
            "catalog": ["--catalog", str(tmp_path / "none.yaml")],
            "path": ["--control-socket", str(tmp_path / ("x" * 120))],
        }[wrong]
        status, errors = ended(start(*arguments))
    assert status == 2
    assert len(errors.splitlines()) == 1
    assert {
        "port": f"port {port} on 127.0.0.1 is taken by process",
        "catalog": "none.yaml: cannot be read",
        "path": "choose a short path",
    }[wrong] in errors
