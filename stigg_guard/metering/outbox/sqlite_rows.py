"""Measurements as rows of a SQLite outbox, written once and read back.

How a row's state changes lives in `turns`; the tables are in `schema`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.record_text import as_text, from_text
from stigg_guard.metering.outbox.row import NewRow, Row, State, Status
from stigg_guard.metering.outbox.schema import DELIVERED, NEW, PARKED
from stigg_guard.subject import Subject

Stored: TypeAlias = tuple[Any, ...]
"""The columns of a row, as in `SELECT`."""
Record: TypeAlias = tuple[tuple[Any, ...], tuple[Any, ...] | None]
"""A new row: what every row has, as in `_INSERT_PLAIN`, and what most have not."""

STATES: Final[tuple[State, ...]] = (
    *("pending", "in_flight", "parked", "delivered"),
    "pending",
)

SELECT: Final = """
    SELECT id, key, state, lane, coalesce(due_at, created_at), doubtful, is_held,
        period, on_ambiguous, attempts, error, created_at,
        coalesce(changed_at, created_at), record
    FROM measurement
"""
ID, KEY, STATE, LANE, DUE_AT = range(5)

_INSERT: Final = """
    INSERT INTO measurement (
        id, key, lane, on_ambiguous, created_at, record,
        state, doubtful, is_held, period, attempts, error
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO NOTHING
"""
_NEW_STATE: Final = 6
# To bind a value costs a batch as much as to write it.
_PLAIN: Final = (NEW, 0, 0, None, 0, None)
_INSERT_PLAIN: Final = """
    INSERT INTO measurement (
        id, key, lane, on_ambiguous, created_at, record,
        state, doubtful, is_held, attempts
    )
    VALUES (?, ?, ?, ?, ?, ?, 4, 0, 0, 0)
    ON CONFLICT (key) DO NOTHING
"""
_ADD: Final = """
    UPDATE total SET last_id = last_id + ?, pending = pending + ?,
        in_flight = in_flight + ?, parked = parked + ?, delivered = delivered + ?,
        kept = kept + ?
"""
NEW_FROM: Final = "SELECT new_from FROM total"
_IS_NEW: Final = f"id >= ({NEW_FROM}) AND state = 4"
_OLDEST: Final = tuple(
    f"SELECT id, created_at FROM measurement WHERE {where} ORDER BY id LIMIT 1"  # noqa: S608
    for where in ("state = 0 AND state < 4", "state = 1 AND state < 4", _IS_NEW)
)


def new_record(row: NewRow, now: float) -> Record:
    """A new row in SQLite's words, made before anything is locked."""
    measurement = row.measurement
    common = (
        text(measurement.key),
        text(measurement.lane),
        row.on_ambiguous,
        now,
        as_text(measurement),
    )
    # Numbers, not booleans: sqlite3 is slow at what it has to adapt.
    rest = (
        PARKED if row.state == "parked" else NEW,
        1 if row.doubtful else 0,
        1 if row.is_held else 0,
        row.period,
        row.attempts,
        text(row.error),
    )
    return common, None if rest == _PLAIN else rest


def text(value: str | None) -> str | None:
    """What SQLite can store: half characters, which no database takes, are spelled."""
    if value is None or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def insert(connection: sqlite3.Connection, records: Sequence[Record]) -> None:
    """Store them in this order, except those whose key is there already."""
    (last_id,) = connection.execute("SELECT last_id FROM total").fetchone()
    numbered = enumerate(records, last_id + 1)
    pending = parked = 0
    if all(rest is None for _, rest in records):
        rows = [(number, *common) for number, (common, _) in numbered]
        pending = _inserted(connection, _INSERT_PLAIN, rows)
    else:
        rows = [
            (number, *common, *(rest or _PLAIN)) for number, (common, rest) in numbered
        ]
        new = [row for row in rows if row[_NEW_STATE] == NEW]
        pending = _inserted(connection, _INSERT, new)
        parked = _inserted(
            connection, _INSERT, [row for row in rows if row[_NEW_STATE] != NEW]
        )
    add(connection, ids=len(records), pending=pending, parked=parked)


def _inserted(
    connection: sqlite3.Connection, statement: str, rows: list[tuple[Any, ...]]
) -> int:
    if not rows:
        return 0
    before = connection.total_changes
    connection.executemany(statement, rows)
    return connection.total_changes - before


def add(
    connection: sqlite3.Connection,
    *,
    ids: int = 0,
    pending: int = 0,
    in_flight: int = 0,
    parked: int = 0,
    delivered: int = 0,
    kept: int = 0,
) -> None:
    """Count what was changed."""
    connection.execute(_ADD, (ids, pending, in_flight, parked, delivered, kept))


def tag(connection: sqlite3.Connection) -> str:
    """What ids of this file begin with."""
    (found,) = connection.execute("SELECT tag FROM total").fetchone()
    return str(found)


def outer_id(tag: str, number: int) -> str:
    """A row's id for others."""
    return f"{tag}-{number}"


def number_of(tag: str, row_id: str) -> int | None:
    """The number in the file of an id; None of one that is of another file, or none."""
    found_tag, _, number = row_id.partition("-")
    if found_tag != tag or not (number.isascii() and number.isdigit()):
        return None
    return int(number) if len(number) < 19 else None


def read(stored: Stored, tag: str, **changes: Any) -> Row:
    """The row; raises `ValueError` where its measurement cannot be read."""
    return _row(stored, tag, from_text(stored[-1], stored[KEY]), changes)


def show(stored: Stored, tag: str) -> Row:
    """The row; one that cannot be read stands in with what is known of it."""
    try:
        return read(stored, tag)
    except ValueError:
        stand_in = Measurement(
            subject=Subject("(unreadable)"), event="(unreadable)", key=stored[KEY]
        )
        return _row(stored, tag, stand_in, {})


def _row(
    stored: Stored, tag: str, measurement: Measurement, changes: dict[str, Any]
) -> Row:
    values: dict[str, Any] = {
        "id": outer_id(tag, stored[ID]),
        "measurement": measurement,
        "state": STATES[stored[STATE]],
        "due_at": stored[DUE_AT],
        "doubtful": bool(stored[5]),
        "is_held": bool(stored[6]),
        "period": stored[7],
        "on_ambiguous": stored[8],
        "attempts": stored[9],
        "error": stored[10],
        "created_at": stored[11],
        "changed_at": stored[12],
    }
    return Row(**(values | changes))


def page(
    connection: sqlite3.Connection, state: State | None, after: str | None, most: int
) -> list[Row]:
    """Rows of one state or all, oldest first, that come after another."""
    if state is None:
        return _page(connection, "id > ?", (), after, most)
    values = (STATES.index(state),)
    rows = _page(connection, "state = ? AND state < 4 AND id > ?", values, after, most)
    if state == "pending" and len(rows) < most:
        left = most - len(rows)
        rows += _page(connection, f"{_IS_NEW} AND id > ?", (), after, left)
    return rows


def waiting_page(
    connection: sqlite3.Connection, after: str | None, most: int
) -> list[Row]:
    """Rows that are not delivered, oldest first, that come after another."""
    return _page(connection, "+state <> 3 AND id > ?", (), after, most)


def _page(
    connection: sqlite3.Connection,
    where: str,
    values: tuple[int, ...],
    after: str | None,
    most: int,
) -> list[Row]:
    name = tag(connection)
    start = 0 if after is None else number_of(name, after) or 0
    found = connection.execute(
        f"{SELECT} WHERE {where} ORDER BY id LIMIT ?", (*values, start, most)
    )
    return [show(stored, name) for stored in found]


def by_ids(connection: sqlite3.Connection, ids: Iterable[str]) -> list[Stored]:
    """The rows with these ids or keys, each once, oldest first."""
    name = tag(connection)
    found: dict[int, Stored] = {}
    for row_id in ids:
        number = number_of(name, row_id)
        for stored in connection.execute(
            f"{SELECT} WHERE id = ? UNION ALL {SELECT} WHERE key = ?",
            (number, text(row_id)),
        ):
            found[stored[ID]] = stored
    return [found[number] for number in sorted(found)]


def status(connection: sqlite3.Connection) -> Status:
    """The totals, which are kept, and the time of the oldest that waits."""
    pending, in_flight, parked, delivered = connection.execute(
        "SELECT pending, in_flight, parked, delivered FROM total"
    ).fetchone()
    oldest: list[tuple[int, float]] = []
    for select in _OLDEST:
        oldest += connection.execute(select)
    return Status(
        pending=pending,
        in_flight=in_flight,
        parked=parked,
        delivered=delivered,
        oldest_at=min(oldest)[1] if oldest else None,
    )


def oldest_delivered(
    connection: sqlite3.Connection, most: int
) -> list[tuple[int, float]]:
    """Numbers of the rows that were delivered, by age, and when they were."""
    return connection.execute(
        "SELECT id, changed_at FROM measurement WHERE state = ? AND state < 4"
        " ORDER BY id LIMIT ?",
        (DELIVERED, most),
    ).fetchall()
