"""The `stigg-guard` command, as people type it."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import extra
from sidecar_client.local.command import stigg_guard
from sidecar_client.local.http.choice import HttpChoice, http_options
from sidecar_client.local.http.options import paths_of
from sidecar_client.local.ports import is_loopback
from tests.cli_runner import telling_runner


@pytest.fixture(autouse=True)
def _level_of_our_log() -> Iterator[None]:
    """The command sets the level of our log for its own process."""
    ours = logging.getLogger("sidecar_client")
    before = ours.level
    yield
    ours.setLevel(before)


def run(*arguments: str) -> Result:
    """A command that ends by itself."""
    return CliRunner().invoke(stigg_guard, arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_sidecar_runs_until_it_is_told_to_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    log, verbose = tmp_path / "log", number is signal.SIGTERM
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "stigg_guard.cli"]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [*command, "sidecar", "run", "--port", "0", "--http-port", "0"]
            + verbose * ["--verbose"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(11)]
        try:
            assert re.match(r"Local sidecar on 127\.0\.0\.1:\d+ ", lines[0])
            (url,) = re.findall(r"^Console: +(http://127\.0\.0\.1:\d+)$", lines[1])
            assert httpx.get(f"{url}/livez", timeout=30).json() == {"status": "UP"}
            assert "demo catalog (10 features, 3 plans, 5 customers)" in lines[2]
            assert "customer-demo-01" in lines[3]
            try_it(lines[6:9])
        finally:
            # Else leaving the block would wait for it for ever.
            process.send_signal(number)
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "Stopped.\n")
    logged = log.read_text()
    assert ("DEBUG GetEntitlement: OK in" in logged) == verbose
    assert verbose or not logged


def test_delay_of_events_reaches_the_sidecar(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    def refuse(*_: object, events_delay: float, **__: object) -> None:
        given.append(events_delay)
        raise ConfigurationError("enough")

    monkeypatch.setattr("sidecar_client.local.command.LocalSidecar", refuse)
    for arguments in ([], ["--events-delay", "9.5"]):
        assert "enough" in run("sidecar", "run", *arguments).output
    assert given == [0.0, 9.5]
    refused = run("sidecar", "run", "--events-delay", "3601")
    assert refused.exit_code == 2
    assert "3601.0 is not in the range 0<=x<=3600.0" in refused.output


def test_environment_and_store_of_a_sidecar(tmp_path: Path) -> None:
    store = tmp_path / "sidecar.db"
    command = [sys.executable, "-m", "stigg_guard.cli", "sidecar", "run", "--no-http"]
    variables = {"GRPC_PORT": "0", "LOG_LEVEL": "debug", "WS_URL": "wss://s3cret"}
    with (
        (tmp_path / "log").open("w") as errors,
        subprocess.Popen(
            [*command, "--store", str(store)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **variables, "PYTHONUNBUFFERED": "1"},
        ) as process,
    ):
        assert process.stdout
        lines = [process.stdout.readline() for _ in range(9)]
        assert not lines[0].startswith("Local sidecar on 127.0.0.1:8443")
        assert lines[2] == f"Store:     {store}\n"
        try_it(lines[6:9])
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    logged = (tmp_path / "log").read_text()
    assert "INFO Of the environment, WS_URL: the local sidecar has no use" in logged
    assert "DEBUG GetEntitlement: OK in" in logged
    assert "s3cret" not in logged
    assert store.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (["--store", "redis"], {}, "store is 'redis'; use memory, a file such as"),
        ([], {"GRPC_PORT": "x"}, "the environment variable GRPC_PORT is 'x'; use"),
        (["--store", "/"], {}, "The store / is no file; name one, such as /sidecar.db"),
    ],
)
def test_store_or_variable_that_cannot_be_is_told(
    arguments: list[str], variables: dict[str, str], told: str
) -> None:
    result = telling_runner().invoke(
        stigg_guard, ["sidecar", "run", "--no-http", *arguments], env=variables
    )
    assert result.exit_code == 2
    assert f"Error: {told}" in result.stderr


def try_it(lines: list[str]) -> None:
    """The lines to try that were printed, tried."""
    written = io.StringIO()
    with redirect_stdout(written):
        exec(dedent("".join(lines)), {})
    assert "has_access: true" in written.getvalue()


def test_taken_port_is_one_error_and_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("sidecar", "run", "--port", str(port))
    assert done.exit_code == 2
    assert done.output.startswith(
        f"Error: port {port} on 127.0.0.1 is taken by process {os.getpid()} ("
    )
    assert len(done.output.splitlines()) == 1


def test_taken_http_port_is_an_error_when_it_was_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("sidecar", "run", "--port", "0", "--http-port", str(port))
    assert done.exit_code == 2
    assert f"Error: port {port} on 127.0.0.1 is taken by process" in done.output
    assert "--http-port" in done.output


def choice(*arguments: str) -> HttpChoice:
    """What the options about HTTP come to."""
    made: list[HttpChoice] = []

    @click.command()
    @http_options
    def command(http: HttpChoice) -> None:
        made.append(http)

    done = CliRunner().invoke(command, arguments)
    assert made, done.output
    return made[0]


def test_default_http_port_gives_way_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("sidecar_client.local.http.choice.DEFAULT_PORT", port)
        assert choice().port() == 0
    said = capsys.readouterr().err
    assert f"port {port} on 127.0.0.1 is taken by process {os.getpid()} (" in said
    assert "HTTP takes a free one." in said
    assert choice().port() == port


def test_http_can_be_left_out() -> None:
    assert choice("--no-http").port() is None
    done = run("sidecar", "run", "--no-http", "--http-port", "1")
    assert "--no-http and --http-port: give one of them." in done.output


def test_http_on_other_hosts_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run("sidecar", "run", "--port", "0", "--http-host", "0.0.0.0")
    assert done.exit_code == 2
    assert "there is no token; set one with --token or STIGG_GUARD_TOKEN" in done.output
    monkeypatch.setenv("STIGG_GUARD_TOKEN", "a-token-of-24-characters")
    assert choice("--http-host", "0.0.0.0").token == "a-token-of-24-characters"


def test_health_paths_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert paths_of({}) == ("/livez", "/readyz")
    monkeypatch.setenv("HEALTH_ENDPOINT_URL", "alive")
    assert paths_of(os.environ) == ("alive", "/readyz")
    monkeypatch.setenv("READY_ENDPOINT_URL", "/alive")
    done = run("sidecar", "run", "--port", "0")
    assert done.exit_code == 2
    assert "health_path and ready_path are both '/alive'" in done.output


def test_catalog_that_is_wrong_is_told_and_not_served(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text("plans:\n  - {id: p, entitlements: {nope: true}}\n")
    for arguments in (
        ("sidecar", "run", "--port", "0", "--catalog", str(path)),
        ("catalog", "validate", str(path)),
    ):
        done = run(*arguments)
        assert done.exit_code == 2
        assert done.output.startswith(f"Error: {path}:2: plans[0].entitlements.nope: ")


def test_catalog_that_is_fine_is_told(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text("features: [{id: f, type: boolean}]\n")
    done = run("catalog", "validate", str(path))
    assert done.stdout == f"{path} is fine: 1 feature, 0 plans, 0 customers.\n"
    assert done.exit_code == 0


def test_reachable_host_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    # An address of no machine: it is warned about, and then cannot be bound.
    done = run("sidecar", "run", "--host", "192.0.2.1")
    assert "192.0.2.1 is reachable from other machines" in caplog.text
    assert done.exit_code == 2


@pytest.mark.parametrize("port", ["0", "8443"])
@pytest.mark.parametrize("host", ["", "no such host", "unix:/tmp/sidecar", "[::1]"])
def test_host_that_is_none_is_one_error_and_no_warning(
    host: str, port: str, caplog: pytest.LogCaptureFixture
) -> None:
    done = run("sidecar", "run", "--host", host, "--port", port)
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith("Error: ")
    assert "use one such as 127.0.0.1" in line
    assert not caplog.records


@pytest.mark.parametrize("wrong", ["--port", "--host", "--catalog"])
def test_error_stands_alone_though_the_usual_port_of_http_is_taken(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr("sidecar_client.local.http.choice.DEFAULT_PORT", port)
        value = {
            "--port": str(port),
            "--host": "no such host",
            "--catalog": str(tmp_path / "none.yaml"),
        }
        done = run("sidecar", "run", wrong, value[wrong])
    assert done.exit_code == 2
    (line,) = done.output.splitlines()
    assert line.startswith("Error: ")


def test_starting_usage_that_nothing_counts_is_told(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(
        "features: [{id: f, type: metered, meter: incremental}]\n"
        "plans: [{id: p, entitlements: {f: {limit: 5}}}]\n"
        "customers:\n"
        "  - id: c\n"
        "    resources: [r]\n"
        "    subscriptions: [{plan: p, resource: r}]\n"
        "    usage: [{feature: f, value: 5}]\n"
    )
    done = run("catalog", "validate", str(path))
    assert done.exit_code == 2
    assert done.output.startswith(f"Error: {path}:7: customers[0].usage[0]: nothing ")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_loopback_is_told_from_reachable_hosts(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


MISSING = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[:] = [Without if f is PathFinder else f for f in sys.meta_path]
"""


def without(package: str, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code where a package is not installed."""
    return subprocess.run(
        [sys.executable, "-c", MISSING.format(package=package) + dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "package",
    [
        "click",
        "grpc_health",
        "grpc_reflection",
        "prometheus_client",
        "psutil",
        "pydantic",
        "starlette",
        "uvicorn",
        "yaml",
    ],
)
def test_every_package_of_the_extra_is_looked_for(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object:
        return None if name == package else find_spec(name)

    monkeypatch.setattr(extra, "find_spec", find)
    with pytest.raises(extra.MissingExtra, match=f"The local sidecar needs {package};"):
        extra.require_extra()


def test_command_without_the_extra_prints_the_line_to_type() -> None:
    done = without("click", "from stigg_guard.cli import main; main()")
    assert done.returncode == 1
    assert done.stderr == (
        "The local sidecar needs click; "
        "install what is missing with: pip install 'stigg-guard[local]'\n"
    )


def test_missing_extra_is_a_readable_import_error() -> None:
    done = without(
        "yaml",
        """
        from sidecar_client.errors import ConfigurationError
        try:
            from sidecar_client.local import LocalSidecar
        except ConfigurationError as error:
            assert isinstance(error, ImportError)
            print(error)
        """,
    )
    assert "pip install 'stigg-guard[local]'" in done.stdout, done.stderr


def test_missing_extra_ends_the_child_with_the_line_to_type() -> None:
    done = without(
        "pydantic",
        """
        import runpy
        sys.argv = ["x", "--control-socket", "/nowhere/control.sock"]
        runpy.run_module("sidecar_client.local", run_name="__main__")
        """,
    )
    assert done.returncode == 2
    assert done.stderr.endswith("pip install 'stigg-guard[local]'\n")
    assert "Traceback" not in done.stderr
