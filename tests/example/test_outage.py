"""What Revvenu does while its sidecar is away, and when it is back."""

from __future__ import annotations

from pathlib import Path

from example_project.welcome import ARCHIVED, FREE
from sidecar_client.local import LocalSidecar
from tests.example.application import Application, eventually, running
from tests.example.test_django import GUNICORN, reports
from tests.example.visitor import Visitor


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
            assert "The sidecar is away, so usage could not be set back" in overview
            assert "Plan details are not available" in overview
            files = visitor.get("/files/")
            assert files.status_code == 503
            assert files.headers["Retry-After"] == "5"
            assert "We cannot check your plan just now" in files.text
            sidecar.start()
            eventually(lambda: _is_denied(application), "the sidecar answers again")
            assert visitor.get("/files/").status_code == 402


def _is_denied(application: Application) -> bool:
    code = reports(application, FREE).status_code
    assert code in (200, 402)
    return code == 402
