"""The same three guarded routes in Flask and FastAPI, served as users serve them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from example_project.welcome import ARCHIVED, ESSENTIALS, FREE
from sidecar_client.local import LocalSidecar
from tests.example.application import (
    BIN,
    PYTHON,
    Application,
    eventually,
    running,
    templates_counted,
)

FLASK = [
    PYTHON,
    "-m",
    "flask",
    "--app=example_project.flask_app",
    "run",
    "--port={port}",
]
GUNICORN = [
    str(BIN / "gunicorn"),
    "--workers=2",
    "--bind=127.0.0.1:{port}",
    "example_project.flask_app:app",
]
UVICORN = [str(BIN / "uvicorn"), "--port={port}", "example_project.fastapi_app:app"]


def status(
    application: Application, method: str, path: str, customer: str | None = None
) -> int:
    headers = {} if customer is None else {"X-Customer": customer}
    url = application.url + path
    return httpx.request(method, url, headers=headers, timeout=30).status_code


def menu(application: Application, customer: str) -> dict[str, bool]:
    headers = {"X-Customer": customer}
    url = f"{application.url}/menu"
    told: dict[str, bool] = httpx.get(url, headers=headers, timeout=30).json()
    return told


@pytest.mark.parametrize(
    "command", [FLASK, GUNICORN, UVICORN], ids=["flask", "gunicorn", "uvicorn"]
)
def test_routes_answer_each_customer_by_its_plan(
    command: list[str], tmp_path: Path
) -> None:
    with running(command, tmp_path) as application:
        by_plan = {ESSENTIALS: 200, FREE: 402, ARCHIVED: 403, None: 200}
        for customer, expected in by_plan.items():
            assert status(application, "GET", "/domain", customer) == expected
        by_plan = {ESSENTIALS: 201, FREE: 402, ARCHIVED: 403, None: 201}
        for customer, expected in by_plan.items():
            assert status(application, "POST", "/uploads", customer) == expected
        assert all(menu(application, ESSENTIALS).values())
        assert menu(application, FREE) == {"domain": False, "new template": False}
        assert all(menu(application, "customer-demo-04").values())  # no limits
        statuses = [status(application, "POST", "/templates") for _ in range(4)]
        assert statuses == [201, 201, 201, 402]
        # A local sidecar that dies is replaced; fallbacks answer meanwhile.
        application.kill_sidecar()

        def answers() -> set[int]:
            return {status(application, "GET", "/domain", FREE) for _ in range(5)}

        assert answers() <= {200, 402}
        eventually(lambda: answers() == {402}, "the sidecar's verdict is back")
        # What it had counted is gone with it; we remember that for a few seconds.
        eventually(
            lambda: status(application, "POST", "/templates") == 201,
            "the new sidecar's usage is believed",
        )
        assert len(application.sidecars()) == 1


def test_blueprint_is_guarded_but_for_what_is_exempt(tmp_path: Path) -> None:
    with running(FLASK, tmp_path) as application:
        assert status(application, "GET", "/domain", FREE) == 402
        assert status(application, "GET", "/domain/help", FREE) == 200


def test_decision_is_injected_and_denials_are_documented(tmp_path: Path) -> None:
    with running(UVICORN, tmp_path) as application:
        received = httpx.post(f"{application.url}/uploads", content=b"abc", timeout=30)
        assert received.json() == {"received": 3, "largest": 100}
        document = httpx.get(f"{application.url}/openapi.json", timeout=30).json()
    denials = {"402", "403", "503"}
    assert denials <= set(document["paths"]["/uploads"]["post"]["responses"])
    assert not denials & set(document["paths"]["/plans"]["get"]["responses"])


@pytest.mark.parametrize("command", [FLASK, UVICORN], ids=["flask", "fastapi"])
def test_usage_waits_while_the_sidecar_is_away_and_arrives(
    command: list[str], tmp_path: Path
) -> None:
    with (
        LocalSidecar() as sidecar,
        running(command, tmp_path, REVVENU_SIDECAR=sidecar.target) as application,
    ):
        assert status(application, "POST", "/templates") == 201
        sidecar.stop()
        # The last known limit holds: 4 of 6 were used.
        statuses = [status(application, "POST", "/templates") for _ in range(3)]
        assert statuses == [201, 201, 402]
        sidecar.start()
        eventually(lambda: templates_counted(sidecar.target) == 6, "it arrives")
        assert status(application, "POST", "/templates") == 402
