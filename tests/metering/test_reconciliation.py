"""Which changes arrived, where other processes have some in doubt, too."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stigg_guard import Subject
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.holds.base import Keep, Take
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.row import Row
from stigg_guard.metering.reconciliation import Told, Unknown, reconcile
from tests.metering.holds.stores import PLACE, want


def _row(key: str, units: float) -> Row:
    return Row(
        id=key,
        measurement=Measurement(
            subject=Subject(PLACE.customer_id),
            feature_id=PLACE.feature_id,
            value=units,
            key=key,
        ),
        state="in_flight",
        doubtful=True,
        is_held=True,
        period=100,
        on_ambiguous="reconcile",
        attempts=1,
        error=None,
        created_at=0,
        changed_at=0,
        due_at=0,
    )


def _told(
    ours: Sequence[float], others: Sequence[float], *, arrived: float
) -> Told | Unknown:
    """What is told of our changes when so many units of all arrived."""
    holds = MemoryHolds()
    changes = [(f"our-{number}", units) for number, units in enumerate(ours)]
    rows = [_row(key, units) for key, units in changes]
    changes += [(f"their-{number}", units) for number, units in enumerate(others)]
    for key, units in changes:
        taken = want(key, max(0, units), usage=3, limit=1000)
        holds.perform(Take(wants=(taken,), lease=30))
        holds.perform(Keep(place=PLACE, key=key, units=units, mode="doubtful"))
    return reconcile(
        PLACE,
        rows,
        hold=holds.perform,
        report=lambda measurements: (Acknowledged(current_usage=3 + arrived),),
    )


@pytest.mark.parametrize(
    ("ours", "others", "arrived", "of_ours"),
    [
        ([1], [1], 0, 0),
        ([1], [1], 2, 1),
        ([1, 1], [1], 1, 1),
        ([1], [2], 1, 1),
        ([1], [2], 2, 0),
        ([-1], [], -1, 1),
    ],
)
def test_changes_of_others_in_doubt_are_told_apart_from_ours(
    ours: list[float], others: list[float], arrived: float, of_ours: int
) -> None:
    told = _told(ours, others, arrived=arrived)

    assert isinstance(told, Told)
    assert len(told.arrived) == of_ours
    assert all(key.startswith("our") for key in told.arrived)


@pytest.mark.parametrize("arrived", [0, sum(range(1, 15))])
def test_many_different_changes_are_told_when_all_or_none_arrived(
    arrived: float,
) -> None:
    told = _told(range(1, 12), range(12, 15), arrived=arrived)

    assert isinstance(told, Told)
    assert len(told.arrived) == (11 if arrived else 0)


def test_what_others_give_back_in_doubt_is_waited_for() -> None:
    told = _told([2], [-2], arrived=0)

    assert isinstance(told, Unknown)
    assert not told.is_final
    assert told.cause == "1 more changes of the same feature are in doubt"


@pytest.mark.parametrize(("ours", "others"), [([3], [1, 2]), ([1, 2, 3], [])])
def test_sums_that_fit_alike_are_told_once_others_told_theirs(
    ours: list[float], others: list[float]
) -> None:
    told = _told(ours, others, arrived=3)

    assert isinstance(told, Unknown)
    assert told.is_final == (not others)
