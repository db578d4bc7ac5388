"""The kit without pytest: unittest and Django's own runner, each in a new process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a suite, and what it printed."""
    command = [sys.executable, "-W", "error", "-m", f"tests.testing.suites.{module}"]
    found = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    return found.returncode, found.stderr + found.stdout


def test_unittest_runs_with_overrides_on_tests_and_classes() -> None:
    code, printed = run("unittest_cases")
    assert code == 0, printed
    # Python 3.12.1 does not count those that were skipped.
    assert re.search(r"Ran [67] tests", printed), printed
    assert printed.startswith("..s..."), printed
    assert "skipped=1" in printed


def test_unittest_fails_a_test_that_swallowed_the_error() -> None:
    for name in ("Failing", "FailingClass"):
        code, printed = run("unittest_cases", name)
        assert code == 1, printed
        assert 'the code asks for "b" of customer "alice"' in printed
        assert "FAILED (failures=1)" in printed


def test_django_runs_with_its_clients_and_a_live_server() -> None:
    code, printed = run("django_cases")
    assert code == 0, printed
    assert re.search(r"Ran 19 tests", printed), printed


def test_django_fails_a_test_that_took_an_unknown_feature_for_an_answer() -> None:
    code, printed = run("django_cases", "failing")
    assert code == 1, printed
    assert 'Did you mean "domian"?' in printed
