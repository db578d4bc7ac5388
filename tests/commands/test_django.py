"""`manage.py stigg_guard outbox`, in processes as a project's people start it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from sidecar_client.local import LocalSidecar
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.commands.samples import event, parked, usage
from tests.integrations.django_site import project
from tests.local.test_command import MISSING

Manage = Callable[..., subprocess.CompletedProcess[str]]

SETTINGS = """
SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = ["stigg_guard_django"]
DATABASES = {{
    "default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}
}}
STIGG_GUARD = {{"OUTBOX": {outbox!r}, "TARGET": {target!r}, "WRITE_TIMEOUT": 10}}
"""

MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "in_a_file")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def manage(tmp_path: Path, outbox: SqliteOutbox, sidecar: LocalSidecar) -> Manage:
    """The `manage.py` of a project with settings for two outboxes."""
    for name, location in (
        ("in_a_file", outbox.location),
        ("in_the_database", "django"),
    ):
        (tmp_path / f"{name}.py").write_text(
            SETTINGS.format(
                database=str(tmp_path / "db.sqlite3"),
                outbox=location,
                target=sidecar.target,
            )
        )
    (tmp_path / "manage.py").write_text(MANAGE)

    def run(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-W", "error", "manage.py", *arguments],
            cwd=tmp_path,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_rows_in_the_projects_database_are_delivered(
    manage: Manage, sidecar: LocalSidecar
) -> None:
    there = ("--settings", "in_the_database")
    unmigrated = manage("stigg_guard", "outbox", "status", *there)
    assert unmigrated.returncode == 2
    assert unmigrated.stderr.startswith("Error: The outbox in the Django database ")
    assert len(unmigrated.stderr.splitlines()) == 1
    assert manage("migrate", "--verbosity", "0", *there).returncode == 0
    store = (
        "from stigg_guard_django.outbox import DjangoOutbox;"
        "from tests.commands.samples import event, usage;"
        "DjangoOutbox().put([usage(), *map(event, range(50))])"
    )
    root = str(Path(__file__).parents[2])
    stored = manage(
        "shell", "-c", f"import sys; sys.path.append({root!r}); {store}", *there
    )
    assert stored.returncode == 0, stored.stderr
    listed = manage("stigg_guard", "outbox", "list", "--json", *there)
    assert len(listed.stdout.splitlines()) == 51
    done = manage("stigg_guard", *there, "outbox", "run", "--drain")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'the outbox in the Django database "default" to the' in done.stdout
    assert len(sidecar.events) == 50


def test_djangos_options_may_stand_anywhere(
    manage: Manage, outbox: SqliteOutbox
) -> None:
    outbox.put([parked(event())])
    command = ["stigg_guard", "outbox", "status", "--json"]
    for place in (1, 4):
        words = [*command]
        words[place:place] = ["--settings=in_a_file", "--verbosity", "2", "--no-color"]
        done = manage(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert json.loads(done.stdout)["parked"] == 1


def test_options_of_ours_are_not_taken_for_djangos(
    manage: Manage, outbox: SqliteOutbox, tmp_path: Path
) -> None:
    # Django has --force-color, --version and -v.
    path = tmp_path / "rows.json"
    path.write_text("old")
    done = manage(
        *("stigg_guard", "outbox", "export", "--force", "--output", str(path))
    )
    assert done.returncode == 0, done.stderr
    assert path.read_text() == ""


def test_help_is_that_of_the_commands(manage: Manage) -> None:
    for arguments in (
        ("stigg_guard", "--help"),
        ("help", "stigg_guard"),
    ):
        done = manage(*arguments)
        assert done.returncode == 0
        assert "Usage: manage.py stigg_guard [OPTIONS] COMMAND" in done.stdout
        assert "Django's own options" in done.stdout
    assert "  retry " in manage("stigg_guard", "outbox", "--help").stdout
    nothing = manage("stigg_guard", "outbox")
    assert "  retry " in nothing.stdout + nothing.stderr
    assert "Error" not in nothing.stderr


def test_wrong_input_is_one_line_and_no_traceback(manage: Manage) -> None:
    for words, error in [
        (["nope"], "No such command 'nope'. See manage.py stigg_guard --help."),
        (["outbox", "retry", "x"], '"x" is no row of the outbox in '),
    ]:
        done = manage("stigg_guard", *words)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"Error: {error}")


def test_status_of_the_process_is_that_of_the_command(
    manage: Manage, outbox: SqliteOutbox
) -> None:
    outbox.put([parked(usage(), doubtful=True)])
    assert manage("stigg_guard", "outbox", "status", "--fail-if-parked").returncode == 3
    asked = manage("stigg_guard", "outbox", "retry", "--all", typed="n\n")
    assert asked.returncode == 1
    agreed = manage("stigg_guard", "outbox", "retry", "--all", typed="y\n")
    assert agreed.returncode == 0
    assert outbox.status().pending == 1


def test_callers_get_an_error_and_what_was_printed(outbox: SqliteOutbox) -> None:
    outbox.put([parked(event())])
    with project(outbox=outbox.location):
        out = StringIO()
        call_command("stigg_guard", "outbox", "status", "--json", stdout=out)
        assert json.loads(out.getvalue())["parked"] == 1
        with pytest.raises(CommandError, match="1 row parked until") as raised:
            call_command(
                "stigg_guard", "outbox", "status", "--fail-if-parked", stdout=out
            )
        assert raised.value.returncode == 3


def test_missing_click_is_the_line_to_type(manage: Manage, tmp_path: Path) -> None:
    script = tmp_path / "manage.py"
    script.write_text(MISSING.format(package="click") + script.read_text())
    done = manage("stigg_guard", "outbox", "status")
    assert done.returncode == 2
    assert "pip install 'stigg-guard[local]'" in done.stderr
    assert "Traceback" not in done.stderr
