"""A short form of the rounds: no unit is granted over the limit, lost or doubled."""

from __future__ import annotations

import pytest

from tests.crash.__main__ import OUTBOXES, rounds
from tests.crash.cast import Setup
from tests.crash.rounds import Sums


def check(sums: Sums) -> None:
    assert (sums.over, sums.lost, sums.doubled, sums.left) == (0, 0, 0, 0), sums
    assert sums.confirmed > 0, sums


@pytest.mark.parametrize("outbox", OUTBOXES)
def test_killed_processes_lose_and_double_nothing(outbox: str) -> None:
    for sums in rounds(Setup(outbox=outbox), 1, seed=1):
        check(sums)


def test_a_bad_network_loses_and_doubles_nothing() -> None:
    setup = Setup(outbox="sqlite", through_proxy=True)
    for sums in rounds(setup, 1, seed=2):
        check(sums)
