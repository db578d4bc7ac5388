"""What Revvenu does while its sidecar is away, and when it is back."""

from __future__ import annotations

import signal
from pathlib import Path

from example_project.welcome import ARCHIVED, ESSENTIALS, FREE
from sidecar_client.local import LocalSidecar
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.example.application import (
    Application,
    eventually,
    running,
    templates_counted,
)
from tests.example.test_django import GUNICORN, RUNSERVER, create, reports
from tests.example.visitor import Visitor

DEMO = ["env", "REVVENU_PORT={port}", RUNSERVER[0], "-m", "example_project", "django"]


def test_policy_answers_while_a_sidecar_is_away(home: Path) -> None:
    with (
        LocalSidecar() as sidecar,
        running(GUNICORN, home, REVVENU_SIDECAR=sidecar.target) as application,
    ):
        assert reports(application, ARCHIVED).status_code == 403
        sidecar.stop()
        # Nothing is known of the free plan's analytics: people keep working.
        assert reports(application, FREE).status_code == 200
        with Visitor(application.url, FREE) as visitor:
            overview = visitor.get("/").text
            assert "The sidecar is away; it is told when it is back" in overview
            assert "A new total is waiting to be reported" in overview
            assert "Plan details are not available" in overview
            files = visitor.get("/files/")
            assert files.status_code == 503
            assert files.headers["Retry-After"] == "5"
            assert "We cannot check your plan just now" in files.text
            sidecar.start()
            eventually(lambda: _is_denied(application), "the sidecar answers again")
            # One worker was answered; another may still wait for its connection.
            eventually(
                lambda: visitor.get("/files/").status_code == 402,
                "the plan is checked again",
            )


def _is_denied(application: Application) -> bool:
    code = reports(application, FREE).status_code
    assert code in (200, 402)
    return code == 402


def test_usage_waits_while_the_sidecar_is_away_and_arrives(home: Path) -> None:
    with (
        LocalSidecar() as sidecar,
        running(RUNSERVER, home, REVVENU_SIDECAR=sidecar.target) as application,
        Visitor(application.url, ESSENTIALS) as visitor,
    ):
        assert visitor.create("Counted at once") == 302
        sidecar.stop()
        # The last known limit holds: 4 of 6 were used.
        statuses = [visitor.create(f"Away {each}") for each in range(3)]
        assert statuses == [302, 302, 402]
        told = visitor.standing
        assert (told["away"], told["here"], told["counted"]) == (True, 6, "?")
        assert told["waiting"] == "2 units are waiting to be reported"
        assert told["age"].endswith(" s")
        assert "2 units are waiting to be reported" in visitor.get("/").text
        assert "2 units are waiting to be reported" in visitor.get("/templates/").text
        with Visitor(application.url, FREE) as other:
            assert other.standing["reports"] == 2  # its own start: two totals
        sidecar.start()
        eventually(lambda: not visitor.standing["waits"], "what waited arrives")
        assert visitor.standing["counted"] == "6 of 6"
        assert "waiting to be reported" not in visitor.get("/").text


def test_room_that_was_made_before_an_outage_is_there_in_it(home: Path) -> None:
    with (
        LocalSidecar() as sidecar,
        running(RUNSERVER, home, REVVENU_SIDECAR=sidecar.target) as application,
        Visitor(application.url, FREE) as visitor,
    ):
        assert visitor.create("No room") == 402
        visitor.delete_one()
        assert visitor.standing["counted"] == "5 of 6"
        sidecar.stop()
        statuses = [visitor.create(f"Away {each}") for each in range(2)]
        assert statuses == [302, 402]
        visitor.delete_one()
        assert visitor.standing["waiting"] == "2 units are waiting to be reported"
        sidecar.start()
        eventually(lambda: visitor.standing["counted"] == "5 of 6", "both arrive")


def test_hundred_posts_keep_to_the_last_known_limit(home: Path) -> None:
    with (
        LocalSidecar() as sidecar,
        running(RUNSERVER, home, REVVENU_SIDECAR=sidecar.target) as application,
        Visitor(application.url, ESSENTIALS) as visitor,
    ):
        sidecar.stop()
        assert visitor.at_once(100) == {302: 3, 402: 97}
        assert visitor.standing["waiting"] == "3 units are waiting to be reported"
        sidecar.start()
        eventually(lambda: visitor.standing["counted"] == "6 of 6", "they arrive")


def test_waiting_usage_outlives_the_application(home: Path) -> None:
    with LocalSidecar() as sidecar:
        environment = {"REVVENU_SIDECAR": sidecar.target}
        with running(RUNSERVER, home, **environment) as application:
            assert create(application, ESSENTIALS).status_code == 201
            sidecar.stop()
            assert create(application, ESSENTIALS).status_code == 201
            # Killed amid an attempt, it would be left alone until its lease ends.
            eventually(lambda: _rests(home), "it waits for the next attempt")
            application.stop(signal.SIGKILL)
        sidecar.start()
        assert templates_counted(sidecar.target) == 4
        with running(RUNSERVER, home, **environment) as application:
            assert create(application, ESSENTIALS).status_code == 201
            eventually(lambda: templates_counted(sidecar.target) == 6, "it arrives")


def _rests(home: Path) -> bool:
    outbox = SqliteOutbox(str(home / "usage.sqlite3"))
    try:
        [row] = outbox.rows()
    finally:
        outbox.close()
    return row.state == "pending" and row.attempts > 2


def test_switch_of_the_demo_stops_its_sidecar_and_keeps_its_usage(home: Path) -> None:
    with (
        running(DEMO, home) as application,
        Visitor(application.url, ESSENTIALS) as visitor,
    ):
        assert visitor.create("Counted at once") == 302
        assert (visitor.standing["can_stop"], visitor.standing["answers"]) == (
            True,
        ) * 2
        for _ in range(2):  # impatience does no harm
            assert visitor.post("/backstage/sidecar/", turn="off").status_code == 302
        assert visitor.standing["can_start"]
        assert visitor.standing["away"]
        assert visitor.create("Away") == 302
        assert visitor.standing["waiting"] == "1 unit is waiting to be reported"
        for _ in range(2):
            assert visitor.post("/backstage/sidecar/", turn="on").status_code == 302
        eventually(lambda: visitor.standing["counted"] == "5 of 6", "it arrives")
        # The sidecar has counted it a moment before its word is back.
        eventually(lambda: not visitor.standing["waits"], "nothing waits")


def test_sidecar_of_somebody_else_has_no_switch(home: Path) -> None:
    with (
        LocalSidecar() as sidecar,
        running(DEMO, home, REVVENU_SIDECAR=sidecar.target) as application,
        Visitor(application.url, ESSENTIALS) as visitor,
    ):
        assert visitor.standing["has_no_switch"]
        assert "Stop the sidecar" not in visitor.get("/templates/").text
        assert visitor.post("/backstage/sidecar/", turn="off").status_code == 302
        assert visitor.standing["answers"]
