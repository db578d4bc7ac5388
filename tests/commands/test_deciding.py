"""`outbox retry` and `outbox discard`: what a person decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import Guard
from stigg_guard.commands.failure import Failure, Undone
from stigg_guard.commands.giving_back import check_reachable, give_back
from stigg_guard.metering.holds.base import Keep, Peek, Place, Standing
from stigg_guard.metering.measurement import new_key
from stigg_guard.metering.outbox.base import NewRow
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.commands.fronts import FRONTS, Front
from tests.commands.samples import CAMPAIGNS, CUSTOMER, event, parked, usage
from tests.redis_server import RedisServer, redis_server


def states(outbox: SqliteOutbox) -> list[str]:
    return [row.state for row in outbox.rows()]


def test_retry_makes_the_named_rows_pending(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([parked(event(number)) for number in range(3)])
    first, _, third = outbox.rows()
    done = front("retry", first.id, third.measurement.key)
    assert (done.status, done.err) == (0, "")
    assert done.out == "2 rows will be sent again.\n"
    assert states(outbox) == ["pending", "parked", "pending"]


def test_retry_of_all_leaves_nothing_parked(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([parked(event(number)) for number in range(1_203)])
    assert front("retry", "--all").out == "1,203 rows will be sent again.\n"
    assert outbox.status().parked == 0
    assert front("retry", "--all").out == "0 rows will be sent again.\n"


def test_doubtful_row_is_sent_again_only_when_a_person_agrees(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([parked(usage(3), doubtful=True), parked(event())])
    row = outbox.rows()[0]
    refused = front("retry", "--all", typed="n\n")
    assert refused.status == 1
    assert (
        f"Row {row.id} ({CUSTOMER}, {CAMPAIGNS}, +3) may have arrived already;"
        " sent again, it is counted twice then."
    ) in refused.err
    assert "nothing was changed" in refused.err
    assert front("retry", row.id).status == 1, "nobody was there to agree"
    assert states(outbox) == ["parked", "parked"]
    assert front("retry", row.id, typed="y\n").status == 0
    assert states(outbox) == ["pending", "parked"]
    assert not outbox.rows()[0].doubtful


def test_yes_agrees_beforehand(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([parked(usage(number), doubtful=True) for number in range(12)])
    done = front("retry", "--all", "--yes")
    assert done.status == 0
    assert done.err.count("may have arrived already") == 10
    assert "So may 2 more." in done.err
    assert outbox.status().pending == 12


@pytest.mark.parametrize("command", ["retry", "discard"])
def test_unknown_id_is_one_error_and_nothing_is_changed(
    command: str, front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([parked(event())])
    known = outbox.rows()[0].id
    strange = ("nope", "-1", known + "0", "\x00", "\ud800", "9" * 40, "é", "'; --", "")
    for wrong in strange:
        done = front(command, "--yes", "--", known, wrong, "another")
        assert done.status == 2
        assert "is no row of the outbox in " in done.error
        assert "(and 1 more)" in done.error
        assert done.error.endswith("Nothing was changed.")
    assert states(outbox) == ["parked"]


@pytest.mark.parametrize(
    ("command", "all_"), [("retry", "--all"), ("discard", "--all-parked")]
)
def test_either_ids_or_all_are_to_be_given(
    command: str, all_: str, front: Front
) -> None:
    nothing = front(command)
    assert (nothing.status, nothing.out) == (2, "")
    assert nothing.error.startswith("No row is named;")
    both = front(command, all_, "x")
    assert both.status == 2
    assert both.error == f'"x" and {all_} were given; give ids or {all_}.'


def test_only_parked_rows_are_retried(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([event(), parked(event())])
    first, second = outbox.rows()
    done = front("retry", second.id, first.id)
    assert done.status == 2
    assert f'Row "{first.id}" is pending; only rows that are parked' in done.error
    assert states(outbox) == ["pending", "parked"]


def test_row_in_flight_is_not_discarded(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([event()])
    (row,) = outbox.claim("somebody", most=1, lease=60)
    done = front("discard", row.id, "--yes")
    assert done.status == 2
    assert f'Row "{row.id}" is in flight;' in done.error


def test_discard_shows_what_is_lost_and_deletes_it_when_agreed(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put(
        [
            parked(usage(3, customer="a"), doubtful=True),
            parked(usage(-1, customer="a")),
            parked(usage(10, customer="b", update="set")),
            parked(usage(12, customer="b", update="set")),
            parked(event()),
            parked(event()),
            event(),
        ]
    )
    refused = front("discard", "--all-parked", typed="n\n")
    assert refused.status == 1
    assert refused.err.splitlines()[:5] == [
        "This deletes 6 rows:",
        f"  a, {CAMPAIGNS}: 2 units",
        f"  b, {CAMPAIGNS}: the total 12",
        f"  {CUSTOMER}, export: 2 events",
        "  (1 row may have arrived already)",
    ]
    assert len(outbox.rows()) == 7
    done = front("discard", "--all-parked", typed="y\n")
    assert (done.status, done.out.strip()) == (0, "6 rows discarded.")
    assert states(outbox) == ["pending"]
    (left,) = outbox.rows()
    assert front("discard", left.id, "--yes").status == 0
    assert outbox.rows() == []
    assert "nothing is discarded" in front("discard", "--all-parked").out


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


PLACE = Place(CUSTOMER, None, CAMPAIGNS)


def held(guard: Guard) -> float:
    standing = guard.stores.perform(Peek(place=PLACE))
    assert isinstance(standing, Standing)
    return standing.held


@pytest.fixture(params=FRONTS, ids=lambda front: str(front.name))
def holding(
    request: pytest.FixtureRequest,
    outbox: SqliteOutbox,
    redis: RedisServer,
) -> Iterator[tuple[Front, Guard]]:
    """A front end, and an application whose holds it shares in Redis."""
    options: dict[str, Any] = {
        "outbox": outbox.location,
        "holds": redis.url,
        "redis_prefix": new_key(),
    }
    guard = Guard(**options)
    yield request.param(**options), guard
    guard.close()


def hold(guard: Guard, row: NewRow) -> None:
    """Hold the units of a stored row, as the application does that stored it."""
    key, value = row.measurement.key, row.measurement.value
    guard.stores.perform(Keep(place=PLACE, key=key, units=value, mode="stored"))


def test_discard_gives_back_what_its_rows_hold(
    holding: tuple[Front, Guard], outbox: SqliteOutbox
) -> None:
    front, guard = holding
    rows = [parked(usage(3, is_held=True)), parked(usage(2, is_held=True))]
    outbox.put(rows)
    for row in rows:
        hold(guard, row)
    assert held(guard) == 5
    assert front("discard", outbox.rows()[0].id, "--yes").status == 0
    assert held(guard) == 2


def test_discard_waits_until_holds_can_be_given_back(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([parked(usage(3, is_held=True)), parked(event())])
    held_row, free_row = outbox.rows()
    with redis_server() as server:
        front.settings["holds"] = server.url
    done = front("discard", "--all-parked", "--yes")
    assert (done.status, done.out) == (2, "")
    assert "Error: The rows hold units, and the hold store (HOLDS) is out" in done.err
    assert states(outbox) == ["parked", "parked"]
    assert front("discard", free_row.id, "--yes").status == 0
    assert outbox.rows() == [held_row]


def test_discard_stops_when_the_hold_store_goes_out_meanwhile(
    outbox: SqliteOutbox,
) -> None:
    outbox.put([parked(usage(1, is_held=True)) for _ in range(3)])
    with redis_server() as server:
        guard = Guard(outbox=outbox.location, holds=server.url)
        rows = outbox.rows()
        check_reachable(guard.stores, PLACE)
        server.kill()
        with pytest.raises(Undone, match="went out meanwhile"):
            give_back(guard.stores, rows)
        with pytest.raises(Failure, match="Nothing was changed"):
            check_reachable(guard.stores, PLACE)
        guard.close()


def test_run_settles_what_its_rows_hold(
    holding: tuple[Front, Guard], outbox: SqliteOutbox, sidecar: LocalSidecar
) -> None:
    front, guard = holding
    row = usage(3, is_held=True)
    outbox.put([row])
    hold(guard, row)
    assert held(guard) == 3
    front.settings["target"] = sidecar.target
    assert front("run", "--drain").status == 0
    assert held(guard) == 0
    assert outbox.status().delivered == 1
