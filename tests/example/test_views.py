"""Revvenu's own tests and checks, run as its developers run them: by `manage.py`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.example.application import PYTHON, run

MANAGE = [PYTHON, "-W", "error", "example_project/manage.py"]


def test_own_tests_pass_without_a_sidecar(tmp_path: Path) -> None:
    ended = run(
        [*MANAGE, "test", "example_project.revvenu"],
        tmp_path,
        # Nobody listens there: a question that gets out of the kit would fail.
        REVVENU_SIDECAR="127.0.0.1:1",
    )
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"Ran 1\d tests in", ended.stderr)
    # Nothing was left to be reported later.
    assert not (tmp_path / "usage.sqlite3").exists()


def test_system_checks_have_nothing_to_say(tmp_path: Path) -> None:
    ended = run([*MANAGE, "check", "--fail-level", "WARNING"], tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "no issues (0 silenced)" in ended.stdout


def test_routes_tell_what_each_page_needs(tmp_path: Path) -> None:
    ended = run([*MANAGE, "stigg_guard", "routes"], tmp_path)
    assert ended.returncode == 0, ended.stderr
    needs = {
        line.split()[-1]: re.split(r"  +", line)[2]
        for line in ended.stdout.splitlines()
        if "feature-" in line
    }
    assert needs == {
        "create-template": "feature-01-templates (meters 1)",
        "delete-template": "feature-01-templates (gives back 1)",
        "campaigns": "feature-02-campaigns (meters 1)",
        "export-campaigns": "feature-05-export-formats (values csv)",
        "domain": "feature-03-custom-domain",
        "files": "feature-06-max-file-size (at least 25)",
        "analytics": "feature-04-analytics",
        "api:report-list": "feature-04-analytics",
        "api:template-list": "feature-01-templates (meters 1)",
    }
