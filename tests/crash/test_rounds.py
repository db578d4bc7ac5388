"""A short form of the rounds: no unit is granted over the limit, lost or doubled."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.crash.__main__ import OUTBOXES
from tests.crash.cast import ROOT


def check(*options: str) -> None:
    """Run them in a process of their own; it ends with 1 when a sum is wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--seed", "1", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("outbox", OUTBOXES)
def test_killed_processes_lose_and_double_nothing(outbox: str) -> None:
    check("--rounds", "1", "--outbox", outbox)


def test_a_bad_network_loses_and_doubles_nothing() -> None:
    check("--rounds", "1", "--outbox", "sqlite", "--proxy")
