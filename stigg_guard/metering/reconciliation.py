"""Whether changes that were sent did arrive, told from the total before and after.

The ledger knows what the total was; new requests are fenced off while it is compared.
What becomes of the rows afterwards is `worker`'s.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from stigg_guard.decision import NoAnswer
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.holds.base import Fence, Lift, Op, Place, Standing
from stigg_guard.metering.measurement import Measurement, new_key
from stigg_guard.metering.outbox.row import Row

_FENCE_LEASE: Final = 10.0
_LONGEST_WAIT: Final = 1.0
_PAUSE: Final = 0.02
_MOST_ROWS: Final = 12
"""With values that differ, more of them would have too many sums to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Nobody can tell; `is_final` when asking again will not help."""

    cause: str
    is_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Which rows arrived, by id, and the sidecar's total with them."""

    arrived: frozenset[str]
    total: float
    token: str


def reconcile(
    place: Place,
    rows: Sequence[Row],
    *,
    hold: Callable[[Op], object],
    report: Callable[[Sequence[Measurement]], tuple[Acknowledged, ...] | NoAnswer],
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Told | Unknown:
    """Compare what the sidecar counts of a place with what was acknowledged to us.

    `rows` are the doubtful changes of the place that are known here; their holds are
    doubtful, too. Those of other processes are told from their holds, and it is theirs
    to compare them. The fence stays up when it can be told: lift it once the rows are
    settled.
    """
    token = new_key()
    quiet = _quiet(place, token, hold, pause, clock)
    found: Told | Unknown
    if isinstance(quiet, Standing):
        found = _compare(rows, quiet, report, token)
    else:
        found = quiet
    if isinstance(found, Unknown):
        hold(Lift(place=place, token=token, total=None))
    return found


def _quiet(
    place: Place,
    token: str,
    hold: Callable[[Op], object],
    pause: Callable[[float], None],
    clock: Callable[[], float],
) -> Standing | Unknown:
    """The account when nobody reports to it any more, kept so by a fence."""
    give_up = clock() + _LONGEST_WAIT
    while True:
        standing = hold(Fence(place=place, token=token, lease=_FENCE_LEASE))
        if not isinstance(standing, Standing):
            return Unknown(cause="the account is fenced or out", is_final=False)
        if standing.open == 0:
            return standing
        if clock() >= give_up:
            return Unknown(
                cause=f"{standing.open} requests are at work on it", is_final=False
            )
        pause(_PAUSE)


def _compare(
    rows: Sequence[Row],
    standing: Standing,
    report: Callable[[Sequence[Measurement]], tuple[Acknowledged, ...] | NoAnswer],
    token: str,
) -> Told | Unknown:
    if any(row.period != standing.period for row in rows):
        return Unknown(cause="its usage period is over", is_final=True)
    if standing.expected is None:
        return Unknown(
            cause="what the sidecar counted before is not known here", is_final=True
        )
    known = {row.measurement.key for row in rows}
    others = [units for key, units in standing.doubts if key not in known]
    if not all(others):
        # What gives units back holds none: nobody knows how many.
        return Unknown(
            cause=f"{len(others)} more changes of the same feature are in doubt",
            is_final=False,
        )
    total = _total(rows[0].measurement, report)
    if isinstance(total, Unknown):
        return total
    arrived = which_arrived(
        total - standing.expected,
        [*(row.measurement.value for row in rows), *others],
    )
    if arrived is None:
        return Unknown(
            cause=f"the sidecar counts {total:g}, and {standing.expected:g} was"
            " acknowledged: others report the same feature",
            # What others have in doubt may be told apart before.
            is_final=not others,
        )
    ids = frozenset(rows[index].id for index in arrived if index < len(rows))
    return Told(arrived=ids, total=total, token=token)


def _total(
    like: Measurement,
    report: Callable[[Sequence[Measurement]], tuple[Acknowledged, ...] | NoAnswer],
) -> float | Unknown:
    """The total that the sidecar acknowledges: a change by nothing tells it."""
    nothing = Measurement(
        subject=like.subject,
        feature_id=like.feature_id,
        value=0,
        timestamp=like.timestamp,
    )
    reply = report([nothing])
    if isinstance(reply, NoAnswer):
        return Unknown(cause=reply.cause, is_final=reply.refused)
    total = reply[0].current_usage
    if total is None:
        return Unknown(cause="the sidecar does not say what it counts", is_final=True)
    return total


def which_arrived(difference: float, values: Sequence[float]) -> tuple[int, ...] | None:
    """Which of some changes make up a difference; None if that cannot be told.

    Changes of the same value stand for each other: the first ones are taken to have
    arrived. None, too, when sums of different values fit alike.
    """
    if len(set(values)) == 1:
        return _which_of_equals(difference, values)
    if min(values) > 0 or max(values) < 0:
        if _equal(difference, 0):
            return ()
        if _equal(difference, sum(values)):
            return tuple(range(len(values)))
    if len(values) > _MOST_ROWS:
        return None
    fitting: dict[tuple[float, ...], tuple[int, ...]] = {}
    for count in range(len(values) + 1):
        for chosen in combinations(range(len(values)), count):
            if _equal(sum(values[index] for index in chosen), difference):
                which = tuple(sorted(values[index] for index in chosen))
                fitting.setdefault(which, chosen)
    return next(iter(fitting.values())) if len(fitting) == 1 else None


def _which_of_equals(
    difference: float, values: Sequence[float]
) -> tuple[int, ...] | None:
    for count in range(len(values) + 1):
        if _equal(count * values[0], difference):
            return tuple(range(count))
    return None


def _equal(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(1.0, abs(one), abs(other))
