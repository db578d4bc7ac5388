"""`flask stigg-guard outbox`, as Flask's runner and as a process starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask, current_app

from sidecar_client.local import LocalSidecar
from stigg_guard.metering.happening import Happening
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from stigg_guard_flask import StiggGuard, guard_from
from stigg_guard_flask.commands import stigg_guard
from tests.commands.samples import event, parked

APPLICATION = """
from flask import Flask
from stigg_guard_flask import StiggGuard

app, bare = Flask("shop"), Flask("bare")
app.config["STIGG_GUARD_OUTBOX"] = {outbox!r}
app.config["STIGG_GUARD_TARGET"] = {target!r}
StiggGuard(app, customer=lambda: None)
"""


@pytest.fixture
def folder(tmp_path: Path, outbox: SqliteOutbox, sidecar: LocalSidecar) -> Path:
    """Where the application `shop` is."""
    text = APPLICATION.format(outbox=outbox.location, target=sidecar.target)
    (tmp_path / "shop.py").write_text(text)
    return tmp_path


def flask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "flask", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_command_is_there_without_a_line_in_the_application(
    folder: Path, outbox: SqliteOutbox, sidecar: LocalSidecar
) -> None:
    outbox.put([event()])
    done = flask(folder, "--app", "shop", "stigg-guard", "outbox", "run", "--drain")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(sidecar.events) == 1
    assert "stigg-guard" in flask(folder, "--app", "shop", "--help").stdout


@pytest.mark.parametrize(
    ("app", "error"),
    [
        ("shop:bare", 'the Flask application "bare" has no StiggGuard; where it is'),
        ("nowhere", "Could not import 'nowhere'."),
    ],
)
def test_application_that_has_no_guard_is_one_error(
    app: str, error: str, folder: Path
) -> None:
    done = flask(folder, "--app", app, "stigg-guard", "outbox", "status")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: {error}")


def test_runner_of_flasks_tests_runs_it(outbox: SqliteOutbox) -> None:
    outbox.put([parked(event())])
    app = Flask(__name__)
    StiggGuard(app, customer=lambda: None, outbox=outbox.location)
    runner = app.test_cli_runner()
    done = runner.invoke(stigg_guard, ["outbox", "retry", "--all"])
    assert (done.exit_code, done.output) == (0, "1 row will be sent again.\n")
    done = runner.invoke(stigg_guard, ["outbox", "retry", "x"])
    assert done.exit_code == 2
    assert done.output.startswith('Error: "x" is no row of the outbox in ')


def test_hooks_of_the_application_run_in_its_context(
    outbox: SqliteOutbox, sidecar: LocalSidecar
) -> None:
    outbox.put([event()])
    app, told = Flask("shop"), list[str]()
    StiggGuard(
        app, customer=lambda: None, outbox=outbox.location, target=sidecar.target
    )

    def hook(happening: Happening) -> None:
        told.append(f"{current_app.name}: {happening.outcome}")

    guard_from(app).on("delivered", hook)
    runner = app.test_cli_runner()
    assert runner.invoke(stigg_guard, ["outbox", "run", "--drain"]).exit_code == 0
    assert told == ["shop: delivered"]
