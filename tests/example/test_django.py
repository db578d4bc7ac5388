"""Revvenu in Django, served as its users serve it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from example_project.welcome import ARCHIVED, ESSENTIALS, FREE
from tests.example.application import (
    BIN,
    PYTHON,
    Application,
    eventually,
    running,
)
from tests.example.visitor import Visitor

RUNSERVER = [PYTHON, "example_project/manage.py", "runserver", "--noreload", "{port}"]
GUNICORN = [
    str(BIN / "gunicorn"),
    "--workers=2",
    "--bind=127.0.0.1:{port}",
    "example_project.revvenu.wsgi",
]
UVICORN = [
    str(BIN / "uvicorn"),
    "--port={port}",
    "example_project.revvenu.asgi:application",
]
TEMPLATE = {"name": "Spring sale"}


def reports(application: Application, customer: str | None) -> httpx.Response:
    headers = {} if customer is None else {"X-Customer": customer}
    return httpx.get(f"{application.url}/api/reports/", headers=headers, timeout=30)


def create(
    application: Application, customer: str, body: object = TEMPLATE
) -> httpx.Response:
    url, headers = f"{application.url}/api/templates/", {"X-Customer": customer}
    return httpx.post(url, json=body, headers=headers, timeout=30)


@pytest.mark.parametrize(
    "command", [RUNSERVER, GUNICORN, UVICORN], ids=["runserver", "gunicorn", "uvicorn"]
)
def test_api_answers_each_customer_by_its_plan(command: list[str], home: Path) -> None:
    with running(command, home) as application:
        assert len(reports(application, ESSENTIALS).json()["campaigns"]) == 4
        assert reports(application, FREE).status_code == 402
        assert reports(application, ARCHIVED).status_code == 403
        assert reports(application, "customer-unknown").status_code == 403
        assert reports(application, None).status_code == 401
        # A request that fails takes nothing.
        assert create(application, ESSENTIALS, ["no", "object"]).status_code == 400
        statuses = [create(application, ESSENTIALS).status_code for _ in range(4)]
        assert statuses == [201, 201, 201, 402]
        problem = create(application, ESSENTIALS).json()
        assert (problem["current_usage"], problem["usage_limit"]) == (6, 6)
        assert problem["upgrade_url"] == "/plans/"
        # A local sidecar that dies is replaced; fallbacks answer meanwhile.
        application.kill_sidecar()

        def answers() -> set[int]:
            return {reports(application, FREE).status_code for _ in range(5)}

        assert answers() <= {200, 402}
        eventually(lambda: answers() == {402}, "the sidecar's verdict is back")
        # What it had counted is gone with it; we remember that for a few seconds.
        eventually(
            lambda: create(application, ESSENTIALS).status_code == 201,
            "the new sidecar's usage is believed",
        )
        assert len(application.sidecars()) == 1


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, migrated: Path
) -> Iterator[Application]:
    """One application for the tests of pages; each begins its customers again."""
    home = tmp_path_factory.mktemp("shared")
    shutil.copy(migrated, home)
    with running(RUNSERVER, home) as application:
        yield application


@pytest.fixture
def essentials(shared: Application) -> Iterator[Visitor]:
    with Visitor(shared.url, ESSENTIALS) as visitor:
        yield visitor


@pytest.fixture
def free(shared: Application) -> Iterator[Visitor]:
    with Visitor(shared.url, FREE) as visitor:
        yield visitor


def test_pages_open_for_a_customer_whose_plan_has_them(essentials: Visitor) -> None:
    for path in ("/", "/templates/", "/campaigns/", "/domain/", "/files/", "/plans/"):
        assert essentials.get(path).status_code == 200, path
    assert "54 %" in essentials.get("/analytics/").text


def test_pages_lead_to_the_plans_when_the_plan_lacks_them(free: Visitor) -> None:
    for path in ("/domain/", "/files/", "/analytics/"):
        denied = free.get(path)
        assert denied.status_code == 402, path
        assert 'href="/plans/?feature=feature-' in denied.text
    assert "your plan takes 10" in free.get("/files/").text


def test_archived_customer_can_look_but_not_touch(shared: Application) -> None:
    with Visitor(shared.url, ARCHIVED) as archived:
        assert "This account is archived" in archived.get("/").text
        denied = archived.post("/templates/create/", name="No")
    assert denied.status_code == 403
    assert "This account is archived" in denied.text


def test_forms_keep_what_they_are_given(essentials: Visitor) -> None:
    assert essentials.post("/domain/", name="mail.example.com").status_code == 302
    assert "mail.example.com" in essentials.get("/domain/").text
    assert "Enter a domain" in essentials.post("/domain/", name="no domain").text
    assert essentials.post("/files/", file=b"photo").status_code == 302
    assert "photo.jpg" in essentials.get("/files/").text
    too_large = essentials.post("/files/", file=bytes(25 * 1024 * 1024 + 1))
    assert "larger than 25" in too_large.text


def test_panel_shows_what_was_used(essentials: Visitor) -> None:
    assert "3 of 6" in essentials.get("/").text
    assert essentials.post("/templates/create/", name="A fourth").status_code == 302
    assert essentials.post("/campaigns/", subject="Hello").status_code == 302
    overview = essentials.get("/").text
    assert "4 of 6" in overview
    assert "1 of 32" in overview


def test_form_with_an_error_takes_nothing(essentials: Visitor) -> None:
    assert essentials.post("/templates/create/", name="").status_code == 400
    assert essentials.post("/campaigns/", subject="").status_code == 200
    overview = essentials.get("/").text
    assert "3 of 6" in overview
    assert "0 of 32" in overview


def test_deleted_template_makes_room_for_another(free: Visitor) -> None:
    assert free.post("/templates/create/", name="One more").status_code == 402
    free.delete_one()
    assert "5 of 6" in free.get("/").text
    assert free.post("/templates/99999/delete/").status_code == 404
    assert "5 of 6" in free.get("/").text
    assert free.post("/templates/create/", name="One more").status_code == 302
    assert free.post("/templates/create/", name="Too many").status_code == 402


def test_demo_begins_again_when_told_to(essentials: Visitor) -> None:
    essentials.post("/templates/create/", name="One more")
    essentials.post("/campaigns/", subject="Hello")
    essentials.begin_again()
    overview = essentials.get("/").text
    assert "3 of 6" in overview
    assert "0 of 32" in overview
    assert "One more" not in essentials.get("/templates/").text


def test_strangers_are_sent_to_the_choice_of_customers(shared: Application) -> None:
    for path in ("/", "/templates/", "/domain/"):
        answer = httpx.get(shared.url + path, timeout=30)
        assert answer.headers["Location"].startswith("/login/"), path
    assert httpx.get(f"{shared.url}/plans/", timeout=30).status_code == 200
    style = httpx.get(f"{shared.url}/static/revvenu/app.css", timeout=30)
    assert style.headers["Content-Type"].startswith("text/css")
