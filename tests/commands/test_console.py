"""`stigg-guard outbox`: its options, the environment, and what may be wrong in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import cli
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.commands.fronts import Console, Front
from tests.commands.samples import event
from tests.local.test_command import without

COMMANDS = ["run", "status", "list", "retry", "discard", "export"]


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The console's script, in a process of its own."""
    return subprocess.run(
        [str(Path(sys.executable).with_name("stigg-guard")), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environ,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, front: Front) -> None:
    done = front(name, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"Usage: {front.name} outbox {name} [OPTIONS]")


def test_outbox_without_a_command_shows_them_all(front: Front) -> None:
    shown = front("--help").out
    for name in COMMANDS:
        assert f"\n  {name} " in shown


def test_options_win_over_the_environment(
    outbox: SqliteOutbox, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    outbox.put([event()])
    other = SqliteOutbox(tmp_path / "other.db")
    other.check()
    by_environment = {
        "STIGG_GUARD_OUTBOX": outbox.location,
        "STIGG_GUARD_TARGET": sidecar.target,
        "STIGG_GUARD_HOLDS": "memory",
        "STIGG_GUARD_CUSTOMER": "an.application.that.is.not.here",
    }
    done = command("outbox", "run", "--drain", **by_environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert outbox.status().delivered == 1
    done = command("outbox", "--location", other.location, "list", **by_environment)
    assert done.stdout == f"No such rows in the outbox in {other.location}.\n"


def test_outbox_that_is_not_set_is_one_error(front: Front) -> None:
    del front.settings["outbox"]
    for name in ("run", "status", "list", "export"):
        done = front(name)
        assert done.status == 2
        assert done.error.startswith("No outbox is set, so nothing is kept; ")
    for name in ("retry", "discard"):
        assert front(name, "an-id").error.startswith("No outbox is set, ")


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("usage", "The outbox location is 'usage'; use a path such as "),
        ("memory:", 'The outbox is "memory:", which each process has for itself; '),
        ("/proc/none/outbox.db", "There is no outbox /proc/none/outbox.db: "),
        ("no.such.Module", "The outbox 'no.such.Module' cannot be imported: "),
        ("redis://127.0.0.1:1/0", "The outbox redis://127.0.0.1:1/0 cannot be "),
        ("redis://127.0.0.1:port/0", "The "),
    ],
)
def test_outbox_that_cannot_be_opened_is_one_error(
    location: str, error: str, front: Front
) -> None:
    front.settings["outbox"] = location
    done = front("status")
    assert (done.status, done.out) == (2, "")
    assert done.error.startswith(error)


def test_run_says_why_it_cannot_make_an_outbox(front: Front) -> None:
    front.settings["outbox"] = "/proc/none/outbox.db"
    done = front("run", "--once")
    assert done.status == 2
    assert done.error.startswith("The outbox /proc/none/outbox.db cannot be opened: ")


def test_outbox_of_a_django_project_is_not_guessed_at(
    front: Front,
) -> None:
    front.settings["outbox"] = "django"
    if front.name.startswith("manage.py"):
        assert "migrate stigg_guard" in front("status").error
    else:
        assert "use `manage.py stigg_guard outbox`" in front("status").error


def test_wrong_options_are_named_as_they_were_typed(outbox: SqliteOutbox) -> None:
    front = Console(outbox=outbox.location)
    for arguments, error in [
        (["--target", "a b"], '--target is "a b"; use "host:port", '),
        (["--holds", "disk"], '--holds is "disk"; use "memory" or the URL of a Redis'),
        (["--place", "x"], "No such option"),
    ]:
        done = front(*arguments, "status")
        assert done.status == 2
        assert done.error.startswith(error)
    front = Console(outbox=outbox.location, holdz="memory")
    assert "STIGG_GUARD_HOLDZ is not a setting. Did you mean" in front("status").error


def test_wrong_words_are_one_error(front: Front) -> None:
    for arguments, error in [
        (["lst"], "No such command 'lst'"),
        (["list", "--state", "lost"], "Invalid value for '--state': 'lost' is not"),
        (["list", "--most", "0"], "Invalid value for '--most': 0 is not in the range"),
        (["list", "row"], "Got unexpected extra argument (row)"),
        (["status", "--fail-if-older", "nan"], "Invalid value for '--fail-if-older'"),
        (["export", "--format", "xml"], "Invalid value for '--format': 'xml' is not"),
    ]:
        done = front(*arguments)
        assert (done.status, done.out) == (2, "")
        assert done.error.startswith(error)
        assert f"See {front.name} outbox" in done.error


@pytest.mark.parametrize(
    "name", ["check", "entitlements", "usage", "report", "event", "doctor", "routes"]
)
def test_missing_click_is_told_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stigg_guard.cli.find_spec", {"click": None}.get)
    monkeypatch.setattr("sys.argv", ["stigg-guard", name, "c"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert capsys.readouterr().err == (
        f"`stigg-guard {name}` needs click: pip install 'stigg-guard[local]'\n"
    )


def test_outbox_needs_click_and_nothing_else_of_the_extra(
    outbox: SqliteOutbox,
) -> None:
    code = f"""
    sys.argv = ["stigg-guard", "outbox", "--location", {outbox.location!r}, "list"]
    from stigg_guard.cli import main
    main()
    """
    done = without("click", code)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "`stigg-guard outbox` needs click: pip install 'stigg-guard[local]'\n"
    )
    for package in ("yaml", "pydantic", "grpc_health", "psutil"):
        done = without(package, code)
        assert (done.returncode, done.stderr) == (0, ""), package
        assert "No such rows" in done.stdout
    done = without("yaml", code.replace("outbox", "catalog"))
    assert done.returncode == 1
    assert done.stderr.startswith("The local sidecar needs yaml; ")
