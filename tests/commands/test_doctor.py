"""`doctor`: what it finds well, what not, and the cures that it names."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from flask import Blueprint, Flask
from flask.cli import ScriptInfo
from flask.views import MethodView

from sidecar_client.local import LocalSidecar
from stigg_guard import Guard, Settings
from stigg_guard.commands.examination import of_settings
from stigg_guard.commands.finding import Finding, Level
from stigg_guard.commands.sidecar_findings import of_target
from stigg_guard.commands.store_findings import of_holds, of_outbox
from stigg_guard.exposure import is_exposed
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from stigg_guard.metering.worker_count import Workers, configured_workers
from stigg_guard_django import requires_feature
from stigg_guard_flask import StiggGuard, guard_blueprint
from stigg_guard_flask import requires_feature as flask_requires_feature
from stigg_guard_flask.commands import stigg_guard as flask_commands
from tests.commands.fronts import Console, Done, Front, run_django, run_main
from tests.commands.samples import event, parked
from tests.integrations.django_site import project


def level_of(done: Done, about: str) -> str:
    (line,) = [line for line in done.out.splitlines() if line[6:].startswith(about)]
    return line[:4].strip()


def test_doctor_finds_all_well(front: Front, sidecar: LocalSidecar) -> None:
    front.group = ()
    front.settings["timeout"] = "5" if isinstance(front, Console) else 5
    done = front("doctor")
    assert (done.status, done.err) == (0, "")
    for about in ("versions", "settings", "target", "sidecar", "methods", "outbox"):
        assert level_of(done, about) == "ok", done.out
    assert f"ok    target    {sidecar.target}\n" in done.out
    assert done.out.endswith("\n\nAll is well.\n")
    assert front("doctor", "--fail-on-warning").status == 0


def test_doctor_fails_when_the_sidecar_is_gone(sidecar: LocalSidecar) -> None:
    console = Console(target=sidecar.target)
    console.group = ()
    sidecar.stop()
    done = console("doctor")
    assert done.status == 1
    assert level_of(done, "sidecar") == "fail"
    assert "→ Start it, or look at TARGET" in done.out
    assert "\n1 failure, 1 warning.\n" in done.out
    assert done.error == "Something fails; see above."
    lines = [json.loads(line) for line in console("doctor", "--json").out.splitlines()]
    (told,) = [line for line in lines if line["about"] == "sidecar"]
    assert told["level"] == "fail"
    assert told["words"].startswith(f"does not answer at {sidecar.target}: ")


def test_warning_is_an_alarm_when_asked_for(sidecar: LocalSidecar) -> None:
    console = Console(target=sidecar.target)
    console.group = ()
    assert console("doctor").status == 0
    done = console("doctor", "--fail-on-warning")
    assert (done.status, done.error) == (3, "There are warnings; see above.")


def test_doctor_tells_what_the_system_checks_of_a_project_say(
    sidecar: LocalSidecar,
) -> None:
    @requires_feature("feature")
    def domains(request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")

    with project({"": domains}, middleware=(), target=sidecar.target):
        done = run_django("doctor")
    assert done.status == 1
    assert "fail  wiring    stigg_guard.E003: Views are guarded, but" in done.out


def test_doctor_tells_of_wrong_settings_of_a_project() -> None:
    with override_settings(STIGG_GUARD={"TIMEOUT": "soon"}):
        done = run_django("doctor")
    assert done.status == 2
    assert done.error.startswith('STIGG_GUARD["TIMEOUT"] is "soon"; ')


def by_view(app: Flask) -> None:
    app.get("/")(flask_requires_feature("feature")(lambda: "home"))


def by_method(app: Flask) -> None:
    class Pages(MethodView):
        @flask_requires_feature("feature")
        def get(self) -> str:
            return "home"

    app.add_url_rule("/", view_func=Pages.as_view("pages"))


def by_blueprint(app: Flask) -> None:
    reports = guard_blueprint(Blueprint("reports", __name__), requires="feature")
    reports.get("/")(lambda: "home")
    app.register_blueprint(reports)


def by_a_view_that_knows(app: Flask) -> None:
    of_one = flask_requires_feature("feature", customer=lambda: "customer-demo-01")
    app.get("/")(of_one(lambda: "home"))


@pytest.mark.parametrize(
    ("guards", "level"),
    [
        (by_view, "fail"),
        (by_method, "fail"),
        (by_blueprint, "fail"),
        (by_a_view_that_knows, "ok"),
    ],
)
def test_doctor_misses_the_customer_of_a_flask_application(
    sidecar: LocalSidecar, guards: Callable[[Flask], None], level: str
) -> None:
    app = Flask(__name__)
    StiggGuard(app, target=sidecar.target, timeout=5)
    guards(app)
    info = ScriptInfo(create_app=lambda: app)
    done = run_main(lambda: flask_commands.main(["doctor"], "flask", obj=info))
    assert level_of(done, "wiring") == level
    if level == "fail":
        assert "views are guarded, and nobody says who" in done.out


# Single findings


def finding(guard: Guard, about: str) -> Finding:
    """What is found of a target."""
    try:
        found = [*of_target(guard, is_named=True)]
    finally:
        guard.close()
    (one,) = [one for one in found if one.about == about]
    return one


def test_server_that_is_no_sidecar_is_a_failure() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        found = finding(Guard(target=f"127.0.0.1:{port}"), "sidecar")
    finally:
        server.stop(None)
    assert found.level == "fail"
    assert found.words == f"what answers at 127.0.0.1:{port} is no Stigg sidecar"


@pytest.mark.parametrize(("timeout", "level"), [(1e-9, "fail"), (60, "ok")])
def test_measured_time_is_compared_with_the_deadline(
    timeout: float, level: Level, sidecar: LocalSidecar
) -> None:
    found = finding(Guard(target=sidecar.target, timeout=timeout), "sidecar")
    assert found.level == level
    assert found.words.startswith("answers in ")


@pytest.mark.parametrize(
    ("target", "is_elsewhere"),
    [
        ("localhost:80", False),
        ("127.0.0.1:80", False),
        ("127.3.2.1:80", False),
        ("[::1]:80", False),
        ("unix:/run/sidecar.sock", False),
        ("local", False),
        ("dns:///localhost:80", False),
        ("sidecar.localhost:80", False),
        ("sidecar:80", True),
        ("10.0.0.5:80", True),
        ("[2001:db8::1]:80", True),
        ("dns:///sidecar.svc:80", True),
    ],
)
def test_target_on_another_host_without_tls_is_exposed(
    target: str, is_elsewhere: bool
) -> None:
    assert is_exposed(Settings(target=target)) is is_elsewhere
    assert not is_exposed(Settings(target=target, root_certificates="/ca.pem"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(enabled=False), "ENABLED is False: nobody is denied anything"),
        (Settings(shadow=True), "SHADOW is True: nobody is denied anything"),
    ],
)
def test_guard_that_is_off_is_a_warning(settings: Settings, words: str) -> None:
    assert (of_settings(settings).level, of_settings(settings).words) == ("warn", words)


def test_holds_in_memory_with_several_workers_are_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    (found,) = of_holds(Guard())
    assert found.level == "warn"
    assert "WEB_CONCURRENCY says 4 processes" in found.words
    assert found.cure == "Set HOLDS to the URL of a Redis."
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    assert [one.level for one in of_holds(Guard())] == ["ok"]


def test_holds_in_a_redis_that_is_gone_are_a_failure() -> None:
    (found,) = of_holds(Guard(holds="redis://127.0.0.1:1/0"))
    assert found.level == "fail"
    assert "127.0.0.1:1" in found.words


@pytest.mark.parametrize(
    ("environ", "config", "found"),
    [
        ({}, None, None),
        ({"WEB_CONCURRENCY": "3"}, None, Workers(3, "WEB_CONCURRENCY")),
        ({"WEB_CONCURRENCY": "many"}, None, None),
        (
            {"WEB_CONCURRENCY": "3"},
            "workers = 5\n",
            Workers(5, "gunicorn.conf.py"),
        ),
        (
            {"GUNICORN_CMD_ARGS": "--bind x -w 7"},
            "workers = 5\n",
            Workers(7, "GUNICORN_CMD_ARGS"),
        ),
        ({"GUNICORN_CMD_ARGS": "--workers=2"}, None, Workers(2, "GUNICORN_CMD_ARGS")),
        ({}, "import os\nworkers = os.cpu_count()\n", None),
        ({}, "workers = True\n", None),
        ({}, "workers = (", None),
    ],
)
def test_number_of_workers_is_read_where_servers_read_it(
    environ: dict[str, str], config: str | None, found: Workers | None, tmp_path: Path
) -> None:
    if config is not None:
        (tmp_path / "gunicorn.conf.py").write_text(config)
    assert configured_workers(environ, tmp_path) == found


def levels(guard: Guard) -> list[tuple[Level, str]]:
    found = [*of_outbox(guard)]
    guard.close()
    return [(one.level, one.words) for one in found]


def test_outbox_is_told_with_what_waits_and_what_is_parked(
    outbox: SqliteOutbox,
) -> None:
    place = outbox.location
    assert levels(Guard(outbox=place)) == [("ok", f"{place}: 0 rows pending")]
    outbox.put([event(), parked(event(1))])
    assert levels(Guard(outbox=place)) == [
        ("ok", f"{place}: 1 row pending, the oldest for 0 s"),
        ("warn", "1 row parked until a person decides"),
    ]
    assert outbox.status().pending == 1


def test_outbox_that_waits_too_long_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    old = SqliteOutbox(path, clock=lambda: 1_700_000_000.0)
    old.put([event()])
    old.close()
    ((level, words),) = levels(Guard(outbox=path))
    assert level == "warn"
    assert "1 row pending, the oldest for " in words


def test_outbox_that_is_not_made_yet_needs_a_folder_to_write_to(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    assert levels(Guard(outbox=path)) == [
        ("ok", f"{path} is made when something is stored")
    ]
    assert not path.exists()
    path = tmp_path / "nowhere" / "outbox.db"
    assert levels(Guard(outbox=path)) == [
        ("fail", f"{path} cannot be made: the folder is not there")
    ]


def test_outbox_that_cannot_be_opened_is_a_failure() -> None:
    ((level, words),) = levels(Guard(outbox="redis://127.0.0.1:1/0"))
    assert level == "fail"
    assert "127.0.0.1:1" in words


def test_no_outbox_is_a_warning() -> None:
    ((level, words),) = levels(Guard())
    assert (level, words[:5]) == ("warn", "none:")
