"""Whose turn it is in a SQLite outbox: claims, their ends, and the order of a lane.

Of a lane only its oldest row that is pending or in flight, the head, has a `wait`; a
row without a lane is its own head. A claim begins with heads that are due, oldest
first, and goes on from each to the next of its lane for as long as that is due too.
Then it comes to the new rows, which are younger: it takes them, or lets them wait
behind their lane's head. So whatever waits costs nothing, and nothing is searched for.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Final

from stigg_guard.metering.outbox.row import Delivered, Parked, PutOff, Result, Row
from stigg_guard.metering.outbox.schema import (
    DELIVERED,
    IN_FLIGHT,
    NEW,
    PARKED,
    PENDING,
)
from stigg_guard.metering.outbox.sqlite_rows import (
    DUE_AT,
    ID,
    LANE,
    NEW_FROM,
    SELECT,
    STATE,
    Stored,
    add,
    number_of,
    oldest_delivered,
    read,
    tag,
    text,
)

LOOKED_AT_ONCE: Final = 1000
"""Rows that one claim lets become due, or finds new, at least: so it stays short."""
PURGED_AT_ONCE: Final = 100

_IS_DUE: Final = """
    SELECT new_from <= last_id
        OR EXISTS (SELECT 1 FROM measurement WHERE wait <= ? LIMIT 1)
    FROM total
"""
_BECOME_DUE: Final = """
    UPDATE measurement SET wait = 0 WHERE id IN (
        SELECT id FROM measurement WHERE wait > 0 AND wait <= ? ORDER BY wait LIMIT ?
    )
"""
_HEADS: Final = f"{SELECT} WHERE wait = 0 ORDER BY id LIMIT ?"
_NEXT_OF_LANE: Final = (
    f"{SELECT} WHERE lane = ? AND state < 2 AND id > ? ORDER BY id LIMIT 1"
)
_NEW: Final = f"{SELECT} WHERE id >= ({NEW_FROM}) AND state = 4 ORDER BY id LIMIT ?"
_MOVE_ON: Final = "UPDATE total SET new_from = coalesce(?, last_id + 1)"
_GET_IN_LINE: Final = "UPDATE measurement SET state = 0 WHERE id = ?"
_HAS_LINE: Final = """
    SELECT 1 FROM measurement WHERE lane = ? AND state < 2 LIMIT 1
"""
_TAKE: Final = """
    UPDATE measurement SET state = 1, wait = ?, worker = ?, due_at = ?, changed_at = ?
    WHERE id = ?
"""
_IS_CLAIMED: Final = """
    SELECT lane FROM measurement WHERE id = ? AND worker = ? AND state = 1
"""
_EXTEND: Final = """
    UPDATE measurement SET due_at = ?, wait = CASE WHEN wait IS NOT NULL THEN ? END
    WHERE id = ? AND worker = ? AND state = 1
"""
_END: Final = """
    UPDATE measurement SET state = ?, wait = ?, due_at = coalesce(?, due_at),
        attempts = attempts + ?, doubtful = ?, error = coalesce(?, error),
        changed_at = ?, worker = NULL
    WHERE id = ?
"""
_RETRY: Final = """
    UPDATE measurement SET doubtful = 0, due_at = ?, changed_at = ?, state = ?,
        wait = ?
    WHERE id = ?
"""
_LOWER_HEAD: Final = """
    UPDATE measurement SET wait = NULL WHERE id = (
        SELECT id FROM measurement WHERE lane = ? AND state < 2 ORDER BY id LIMIT 1
    )
"""
_RAISE_HEAD: Final = """
    UPDATE measurement SET wait = CASE WHEN due_at > ? THEN due_at ELSE 0 END
    WHERE id = (
        SELECT id FROM measurement WHERE lane = ? AND state < 2 ORDER BY id LIMIT 1
    )
"""
_DELETE: Final = "DELETE FROM measurement WHERE id = ?"


def is_due(connection: sqlite3.Connection, now: float) -> bool:
    """Whether a claim would find anything."""
    (found,) = connection.execute(_IS_DUE, (now,)).fetchone()
    return bool(found)


def claim(
    connection: sqlite3.Connection, worker: str, *, most: int, lease: float, now: float
) -> list[Row]:
    """Mark rows as in flight and return them; what cannot be read is parked."""
    worker = str(text(worker))
    connection.execute(_BECOME_DUE, (now, max(most, LOOKED_AT_ONCE)))
    taken, heads = _turns(connection, most, now)
    ends = now + lease
    connection.executemany(
        _TAKE,
        [
            (ends if stored[ID] in heads else None, worker, ends, now, stored[ID])
            for stored in taken
        ],
    )
    fresh = sum(stored[STATE] != IN_FLIGHT for stored in taken)
    add(connection, pending=-fresh, in_flight=fresh)
    name = tag(connection)
    rows: list[Row] = []
    unreadable: list[Result] = []
    for stored in taken:
        was_in_flight = stored[STATE] == IN_FLIGHT
        try:
            row = read(
                stored,
                name,
                state="in_flight",
                changed_at=now,
                due_at=ends,
                was_in_flight=was_in_flight,
            )
        except ValueError as error:
            parked = Parked(id=f"{name}-{stored[ID]}", error=str(error))
            unreadable.append(parked)
        else:
            rows.append(row)
    if unreadable:
        finish(connection, worker, unreadable, now=now)
    return rows


def _turns(
    connection: sqlite3.Connection, most: int, now: float
) -> tuple[list[Stored], set[int]]:
    """Rows whose turn it is, and the ids of those that are heads of their lanes."""
    # Sorted by id, so a heap already.
    candidates: list[Stored] = connection.execute(_HEADS, (most,)).fetchall()
    heads = {stored[ID] for stored in candidates}
    taken: list[Stored] = []
    through: set[str] = set()
    while candidates and len(taken) < most:
        stored = heapq.heappop(candidates)
        taken.append(stored)
        lane = stored[LANE]
        if lane is None:
            continue
        following = connection.execute(_NEXT_OF_LANE, (lane, stored[ID])).fetchone()
        if following is None:
            through.add(lane)
        elif following[DUE_AT] <= now:
            heapq.heappush(candidates, following)
    if len(taken) < most:
        _new_turns(connection, most, taken, heads, through)
    return taken, heads


def _new_turns(
    connection: sqlite3.Connection,
    most: int,
    taken: list[Stored],
    heads: set[int],
    through: set[str],
) -> None:
    """Take new rows too; `through` are lanes of which this claim has all."""
    limit = max(most, LOOKED_AT_ONCE)
    behind: list[int] = []
    next_new: int | None = None
    with closing(connection.execute(_NEW, (limit,))) as found:
        for looked_at, stored in enumerate(found, 1):
            number, lane = stored[ID], stored[LANE]
            if len(taken) == most:
                next_new = number
                break
            if lane is None:
                taken.append(stored)
                heads.add(number)
            elif lane in through:
                taken.append(stored)
            elif connection.execute(_HAS_LINE, (lane,)).fetchone() is not None:
                behind.append(number)
            else:
                taken.append(stored)
                heads.add(number)
                through.add(lane)
            if looked_at == limit:
                next_new = number + 1
    connection.executemany(_GET_IN_LINE, [(number,) for number in behind])
    connection.execute(_MOVE_ON, (next_new,))


def extend(
    connection: sqlite3.Connection, worker: str, ids: Sequence[str], *, ends: float
) -> None:
    """Let the worker keep rows until then."""
    name = tag(connection)
    connection.executemany(
        _EXTEND, [(ends, ends, number_of(name, each), text(worker)) for each in ids]
    )


def finish(
    connection: sqlite3.Connection,
    worker: str,
    results: Sequence[Result],
    *,
    now: float,
) -> int:
    """Carry out the results of rows that the worker has; how many were delivered."""
    name = tag(connection)
    held: dict[int, tuple[Result, str | None]] = {}
    for result in results:
        number = number_of(name, result.id)
        found = connection.execute(_IS_CLAIMED, (number, text(worker))).fetchone()
        if found is not None and number is not None:
            held.setdefault(number, (result, found[0]))
    connection.executemany(
        _END,
        [
            (*_ended(result, lane, now), now, number)
            for number, (result, lane) in held.items()
        ],
    )
    kinds = [type(result) for result, _ in held.values()]
    delivered = kinds.count(Delivered)
    add(
        connection,
        in_flight=-len(kinds),
        pending=kinds.count(PutOff),
        parked=kinds.count(Parked),
        delivered=delivered,
        kept=delivered,
    )
    _raise_heads(connection, (lane for _, lane in held.values()), now)
    return delivered


def _ended(result: Result, lane: str | None, now: float) -> tuple[object, ...]:
    """State, wait, due_at, attempts, doubtful and error of a row that was claimed."""
    match result:
        case Delivered():
            return DELIVERED, None, None, 1, 0, None
        case Parked(error=error, doubtful=doubtful):
            return PARKED, None, None, 1, int(doubtful), text(error)
        case PutOff(error=error, due_at=due_at, doubtful=doubtful, tried=tried):
            wait = (due_at if due_at > now else 0) if lane is None else None
            return PENDING, wait, due_at, int(tried), int(doubtful), text(error)


def retry(connection: sqlite3.Connection, rows: Sequence[Stored], now: float) -> int:
    """Make those of the rows that are parked pending and due."""
    parked = [stored for stored in rows if stored[STATE] == PARKED]
    lanes = [stored[LANE] for stored in parked]
    for lane in _distinct(lanes):
        connection.execute(_LOWER_HEAD, (lane,))
    (new_from,) = connection.execute(NEW_FROM).fetchone()
    connection.executemany(
        _RETRY,
        [(now, now, *_retried(stored, new_from), stored[ID]) for stored in parked],
    )
    add(connection, parked=-len(parked), pending=len(parked))
    _raise_heads(connection, lanes, now)
    return len(parked)


def _retried(stored: Stored, new_from: int) -> tuple[int, int | None]:
    """State and wait; where claims have not come to, a row waits to be found new."""
    if stored[ID] >= new_from:
        return NEW, None
    return PENDING, 0 if stored[LANE] is None else None


def parked_after(
    connection: sqlite3.Connection, number: int, most: int
) -> list[Stored]:
    """Parked rows that come after a number."""
    return connection.execute(
        f"{SELECT} WHERE state = ? AND state < 4 AND id > ? ORDER BY id LIMIT ?",
        (PARKED, number, most),
    ).fetchall()


def discard(
    connection: sqlite3.Connection, rows: Sequence[Stored], now: float
) -> list[Stored]:
    """Delete those of the rows that are pending or parked, and return them."""
    gone = [stored for stored in rows if stored[STATE] in (PENDING, NEW, PARKED)]
    connection.executemany(_DELETE, [(stored[ID],) for stored in gone])
    parked = sum(stored[STATE] == PARKED for stored in gone)
    add(connection, parked=-parked, pending=parked - len(gone))
    _raise_heads(connection, (stored[LANE] for stored in gone), now)
    return gone


def purge(
    connection: sqlite3.Connection, *, before: float, most: int, at_once: int
) -> None:
    """Delete some rows that were delivered before a time, or are more than `most`."""
    (kept,) = connection.execute("SELECT kept FROM total").fetchone()
    gone = [
        (number,)
        for place, (number, at) in enumerate(oldest_delivered(connection, at_once))
        if at <= before or place < kept - most
    ]
    if gone:
        connection.executemany(_DELETE, gone)
        add(connection, kept=-len(gone))


def _raise_heads(
    connection: sqlite3.Connection, lanes: Iterable[str | None], now: float
) -> None:
    connection.executemany(_RAISE_HEAD, [(now, lane) for lane in _distinct(lanes)])


def _distinct(lanes: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(lane for lane in lanes if lane is not None))
