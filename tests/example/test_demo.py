"""`python -m example_project`, which `make demo` runs."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from example_project import launch, places
from example_project.welcome import ESSENTIALS, TO_TRY
from sidecar_client import GetEntitlementsRequest
from tests.example.application import (
    PYTHON,
    Application,
    eventually,
    free_port,
    run,
)

# A runner may have told its children to ignore Ctrl-C.
DEMO = ["env", "--default-signal=INT", PYTHON, "-m", "example_project"]


@pytest.mark.parametrize("framework", ["django", "flask", "fastapi"])
def test_printed_commands_answer_as_printed(framework: str, home: Path) -> None:
    port, sidecar_port = free_port(), free_port()
    env = {"REVVENU_PORT": str(port), "REVVENU_SIDECAR_PORT": str(sidecar_port)}
    demo = Application([*DEMO, framework], home=home, port=port, env=env)
    try:
        demo.wait_until_it_serves()
        commands = [
            line.strip() for line in demo.said.splitlines() if line.startswith("  curl")
        ]
        assert len(commands) == len(TO_TRY[framework])
        for command in commands:
            typed, _, expected = command.rpartition("#")
            answered = subprocess.check_output([*shlex.split(typed), "-s"], text=True)
            assert answered.split()[1] == expected.strip(), command
        assert f"http://127.0.0.1:{port}" in demo.said
        # That of Django's demo is in its process, and has a switch.
        assert len(demo.sidecars()) == (framework != "django")
    finally:
        assert demo.stop(signal.SIGINT) == 0, demo.said
    assert "Traceback" not in demo.said
    eventually(lambda: not demo.sidecars(), "the sidecar ends with the demo")
    with socket.create_server(("127.0.0.1", sidecar_port)):
        pass


def test_unknown_framework_is_one_clear_error(tmp_path: Path) -> None:
    ended = run([*DEMO, "rails"], tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == (
        'example_project: "rails" is not an example; use one of django, flask,'
        " fastapi.\n"
    )


def test_taken_port_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run([*DEMO, "flask"], tmp_path, REVVENU_PORT=port)
    assert ended.returncode == 2
    assert f"REVVENU_PORT is {port}, which is taken" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_taken_sidecar_port_is_one_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run(
            [*DEMO, "flask"],
            tmp_path,
            REVVENU_PORT=str(free_port()),
            REVVENU_SIDECAR_PORT=port,
        )
    assert ended.returncode == 2
    assert f"port {port}" in ended.stderr
    assert "taken" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_next_free_port_is_taken_when_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REVVENU_PORT", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken: int = other.getsockname()[1]
        monkeypatch.setattr(places, "WEB_PORT", taken)
        assert taken < places.web_port() < taken + 20


def test_sidecar_takes_another_port_when_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("REVVENU_SIDECAR", raising=False)
    monkeypatch.setenv("REVVENU_SIDECAR_PORT", "")
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken: int = other.getsockname()[1]
        monkeypatch.setattr(launch, "SIDECAR_PORT", taken)
        with launch.sidecar() as client:
            request = GetEntitlementsRequest(customer_id=ESSENTIALS)
            assert len(client.get_entitlements(request).entitlements) == 6
            chosen = os.environ["REVVENU_SIDECAR_PORT"]
    assert chosen != str(taken)
    assert (
        f"Port {taken} is taken; the local sidecar takes {chosen}"
        in capsys.readouterr().out
    )


def test_port_that_is_no_port_is_one_clear_error(tmp_path: Path) -> None:
    ended = run([*DEMO, "flask"], tmp_path, REVVENU_PORT="http")
    assert ended.stderr == (
        'example_project: REVVENU_PORT is "http"; use a port from 1 to 65535.\n'
    )
