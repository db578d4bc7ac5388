"""A row as the fields of a stream's entry, and back from what the scripts reply.

What the fields of `redis_scripts`' hashes mean is said here, too: a row's entry never
changes, its hash holds what did.

====  ============================================================================
k l   the measurement's key, and its lane if it has one
m     the measurement's record as JSON
t c   when the row was stored, and changed
d h   "1": doubtful, held
p o   the usage period, and `on_ambiguous` if it is "park"
a e   attempts, the last error
b     "1": born parked
s u   the state, and when the row is due; of one in flight, when its lease ends
w n   the worker that has it, and the token of its claim
f     "1": it was in flight when it was claimed
====  ============================================================================
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias, cast

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.row import NewRow, Row, State
from stigg_guard.subject import Subject

Fields: TypeAlias = list[bytes | str]
"""A row's entry, names and values in turn; the first is the measurement's key."""
Reply: TypeAlias = Sequence[Any]
"""A row in a script's reply: id, the entry's fields, the hash's, "1" if it was lost."""

_as_json: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored row whose record cannot be read; `row` has a stand-in measurement."""

    row: Row
    error: str


def fields_of(row: NewRow) -> Fields:
    """The entry of a new row; what is usual is left out."""
    measurement = row.measurement
    record = _as_json(measurement.as_record())
    fields: dict[str, bytes | str] = {"k": encoded(measurement.key), "m": record}
    if measurement.lane is not None:
        fields["l"] = encoded(measurement.lane)
    if row.doubtful:
        fields["d"] = "1"
    if row.is_held:
        fields["h"] = "1"
    if row.period is not None:
        fields["p"] = repr(float(row.period))
    if row.on_ambiguous == "park":
        fields["o"] = "park"
    if row.attempts:
        fields["a"] = str(row.attempts)
    if row.error is not None:
        fields["e"] = encoded(row.error)
    if row.state == "parked":
        fields["b"] = "1"
    return [part for field in fields.items() for part in field]


def read(reply: Reply) -> Row | Unreadable:
    """The row of a script's reply."""
    entry = _named(reply[1])
    now = entry | _named(reply[2])
    try:
        measurement, trouble = _measurement(now["m"]), None
    except ValueError as error:
        measurement, trouble = _stand_in(now["k"]), str(error)
    row = Row(
        id=text(reply[0]),
        measurement=measurement,
        state=cast(State, now.get("s", "pending")),
        doubtful=now.get("d") == "1",
        is_held=now.get("h") == "1",
        period=float(now["p"]) if "p" in now else None,
        on_ambiguous="park" if now.get("o") == "park" else "reconcile",
        attempts=int(now.get("a", "0")),
        error=now.get("e") or None,
        created_at=float(now["t"]),
        changed_at=float(now.get("c", now["t"])),
        due_at=float(now.get("u", now["t"])),
        was_in_flight=text(reply[3]) == "1",
    )
    return row if trouble is None else Unreadable(row, trouble)


def sorted_out(replies: Sequence[Reply]) -> tuple[list[Row], list[Unreadable]]:
    """The rows, and those that cannot be read."""
    rows = [read(reply) for reply in replies]
    unreadable = [row for row in rows if isinstance(row, Unreadable)]
    return [row for row in rows if isinstance(row, Row)], unreadable


def shown(reply: Reply) -> Row:
    """The row to look at; one that cannot be read says so in its error."""
    row = read(reply)
    if isinstance(row, Row):
        return row
    return replace(row.row, error=row.row.error or row.error)


def text(value: bytes | str) -> str:
    """Text of the server, whether or not the client decoded it."""
    return value if isinstance(value, str) else value.decode("utf-8", "surrogatepass")


def encoded(value: str) -> bytes:
    """Text as it is stored, whatever is in it; `text` reads it."""
    return value.encode("utf-8", "surrogatepass")


def _named(fields: Sequence[Any]) -> dict[str, str]:
    words = [text(field) for field in fields]
    return dict(zip(words[::2], words[1::2], strict=True))


def _measurement(record: str) -> Measurement:
    try:
        found = json.loads(record)
    except ValueError as error:
        raise ValueError(f"this is no stored measurement: {record!r}") from error
    return Measurement.from_record(found)


def _stand_in(key: str) -> Measurement:
    return Measurement(subject=Subject("(unreadable)"), event="(unreadable)", key=key)
