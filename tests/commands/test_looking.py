"""`outbox status` and `outbox list`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from time import time

import pytest

from stigg_guard.commands.words import age, columns, fitted
from stigg_guard.metering.outbox.redis import RedisOutbox
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.commands.fronts import Console, Front
from tests.commands.samples import CAMPAIGNS, TEMPLATES, event, parked, usage
from tests.redis_server import redis_server

LINES = [
    ("Pending:", "2"),
    ("In flight:", "1"),
    ("Parked:", "1"),
    ("Delivered:", "0"),
]


def test_status_counts_rows_by_state(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([event(), event(), event(), parked(usage())])
    outbox.claim("somebody", most=1, lease=60)
    done = front("status")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == f"Outbox:     {outbox.location}"
    for line, (title, number) in zip(lines[1:5], LINES, strict=True):
        assert line.split() == [*title.split(), number]
    assert lines[5].startswith("Oldest:     waits 0 s, since 2")
    assert not done.err


def test_status_as_json_is_one_document(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([event()])
    told = json.loads(front("status", "--json").out)
    oldest = datetime.fromisoformat(told.pop("oldest_at"))
    assert oldest.tzinfo == UTC
    assert oldest.timestamp() == pytest.approx(outbox.status().oldest_at, abs=1e-5)
    assert 0 <= told.pop("oldest_age") < 60
    assert told == {
        "location": outbox.location,
        "pending": 1,
        "in_flight": 0,
        "parked": 0,
        "delivered": 0,
    }


def test_status_of_an_empty_outbox_says_that_nothing_waits(front: Front) -> None:
    done = front("status", "--fail-if-older", "0", "--fail-if-parked")
    assert (done.status, done.err) == (0, "")
    assert "Oldest:     none waits" in done.out
    assert json.loads(front("status", "--json").out)["oldest_age"] is None


def test_status_tells_monitoring_of_old_and_of_parked_rows(
    front: Front, tmp_path: Path, outbox: SqliteOutbox
) -> None:
    past = SqliteOutbox(outbox.location, clock=lambda: time() - 90)
    past.put([event(), parked(usage())])
    past.close()
    old = front("status", "--fail-if-older", "60")
    assert old.status == 3
    assert old.error.endswith("the oldest row has waited 90 s, more than 60 s.")
    assert "Pending:    1" in old.out
    assert front("status", "--fail-if-older", "3600").status == 0
    stuck = front("status", "--fail-if-parked", "--json")
    assert stuck.status == 3
    assert stuck.error.endswith("1 row parked until a person decides.")
    assert json.loads(stuck.out)["parked"] == 1


def test_list_is_a_table_of_what_is_not_delivered(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put(
        [
            usage(2, customer="acme"),
            usage(-1, customer="acme"),
            usage(1_234_567, customer="acme", update="set", feature=TEMPLATES),
            event(),
            parked(usage(3), doubtful=True, error="it may have arrived"),
        ]
    )
    ids = [row.id for row in outbox.rows()]
    done = front("list")
    assert (done.status, done.err) == (0, "")
    title, *lines = done.out.splitlines()
    assert " ".join(title.split()) == (
        "id state age tries customer feature/event value error"
    )
    told = [line.split("  ") for line in lines]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in told]
    assert [line[0] for line in cells] == ids
    assert [line[1] for line in cells] == 4 * ["pending"] + ["parked?"]
    assert [line[6] for line in cells] == ["+2", "-1", "=1,234,567", "event", "+3"]
    assert cells[-1][3:] == [
        "1",
        "customer-demo-04",
        "feature-02-campaigns",
        "+3",
        "it may have arrived",
    ]


def test_table_fits_100_columns_and_disturbs_no_terminal(
    front: Front, outbox: SqliteOutbox
) -> None:
    nasty = usage(
        1e300, customer="\x1b[2J客户客户客户客户客户客户\n", feature="f" * 500
    )
    outbox.put([parked(nasty, error="\r\x07" + "no " * 200), usage()])
    lines = front("list").out.splitlines()
    assert len(lines) == 3
    assert all(columns(line) <= 100 for line in lines)
    assert all(line.isprintable() for line in lines)
    assert outbox.rows()[0].id in lines[1]
    assert "\\x1b[2J" in lines[1]


def test_table_fits_where_ids_are_as_long_as_those_of_redis() -> None:
    with redis_server() as server:
        found = RedisOutbox(server.url)
        long = usage(1e300, customer="c" * 40, feature="f" * 40)
        found.put([parked(long, error="why " * 40, doubtful=True), event()])
        lines = Console(outbox=server.url)("list").out.splitlines()
        ids = [row.id for row in found.rows()]
        found.close()
    assert all(columns(line) <= 100 for line in lines)
    assert [line.split()[0] for line in lines[1:]] == ids
    assert "why why why" in lines[1]


def test_list_picks_rows_by_state_customer_and_feature(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put(
        [
            usage(customer="a"),
            usage(customer="b"),
            event(customer="a"),
            parked(usage(customer="a", feature=TEMPLATES)),
        ]
    )
    first, second, third, fourth = (row.id for row in outbox.rows())

    def shown(*arguments: str) -> list[str]:
        lines = front("list", "--json", *arguments).out.splitlines()
        return [json.loads(line)["id"] for line in lines]

    assert shown() == [first, second, third, fourth]
    assert shown("--state", "parked") == [fourth]
    assert shown("--state", "pending", "--state", "parked") == shown()
    assert shown("--customer", "b") == [second]
    assert shown("--feature", TEMPLATES) == [fourth]
    assert shown("--feature", "export") == [third]
    assert shown("--customer", "a", "--feature", CAMPAIGNS) == [first]
    assert shown("--customer", "nobody") == []
    assert "No such rows" in front("list", "--customer", "nobody").out


def test_list_shows_delivered_rows_when_asked(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([event()])
    assert front("run", "--drain").status == 0
    assert "No such rows" in front("list").out
    assert " delivered " in front("list", "--state", "delivered").out


def test_list_ends_at_most_and_says_that_there_is_more(
    front: Front, outbox: SqliteOutbox
) -> None:
    outbox.put([event(number) for number in range(1_100)])
    done = front("list", "--json", "--most", "1001")
    assert len(done.out.splitlines()) == 1_001
    assert done.err == "There are more than 1,001; --most shows more.\n"
    assert not front("list", "--json", "--most", "1100").err


def test_list_as_json_has_every_field(front: Front, outbox: SqliteOutbox) -> None:
    outbox.put([parked(usage(2.5, key="k1", is_held=True), doubtful=True)])
    (line,) = front("list", "--json").out.splitlines()
    told = json.loads(line)
    (row,) = outbox.rows()
    for name in ("created_at", "changed_at", "due_at", "timestamp"):
        assert datetime.fromisoformat(told.pop(name)).tzinfo == UTC
    assert told == {
        "id": row.id,
        "state": "parked",
        "key": "k1",
        "customer": "customer-demo-04",
        "resource": None,
        "feature": CAMPAIGNS,
        "event": None,
        "update": "delta",
        "value": 2.5,
        "dimensions": {},
        "doubtful": True,
        "is_held": True,
        "period": None,
        "on_ambiguous": "reconcile",
        "attempts": 1,
        "error": "INVALID_ARGUMENT: no",
    }


def test_looking_makes_no_outbox_where_none_is(tmp_path: Path) -> None:
    path = tmp_path / "slip.db"
    for command in ("status", "list", "export"):
        done = Console(outbox=str(path))(command)
        assert done.status == 2
        assert done.error.startswith(f"There is no outbox {path}: nothing was stored")
    assert not path.exists()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (5_400, "1.5 h"),
        (86_400, "1 d"),
    ],
)
def test_age_is_told_in_the_unit_that_suits_it(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


def test_text_is_fitted_by_the_columns_it_takes() -> None:
    assert fitted("abc", 5) == "abc  "
    assert fitted("abcdef", 5) == "ab..."
    assert fitted("客户客户", 6) == "客... "
    assert columns(fitted("客户客户", 6)) == 6
