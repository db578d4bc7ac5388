"""`report` and `event`: what reaches the sidecar, and how it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from sidecar_client import EventDimensionValue
from sidecar_client.local import LocalSidecar
from tests.commands.fronts import Console, Front
from tests.counting_sidecar import counting_sidecar

CUSTOMER = "customer-demo-01"
TEMPLATES = "feature-01-templates"
CAMPAIGNS = "feature-02-campaigns"


@pytest.fixture
def ask(front: Front) -> Front:
    """The front end, without the group `outbox`."""
    front.group = ()
    return front


@pytest.fixture
def console(sidecar: LocalSidecar) -> Console:
    """The console alone, for what is the same everywhere."""
    found = Console(target=sidecar.target)
    found.group = ()
    return found


def test_report_is_acknowledged_with_the_new_total(ask: Front) -> None:
    done = ask("report", CUSTOMER, TEMPLATES, "2")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "acknowledged",
        "",
        f"Customer:  {CUSTOMER}",
        f"Reported:  +2 of {TEMPLATES}",
        "Used now:  5",
    ]
    assert "3 of 6 used" not in ask("entitlements", CUSTOMER).out


@pytest.mark.parametrize(
    ("value", "more", "total"),
    [("-1", (), 2), ("-1.5", (), 1.5), ("1e0", (), 4), ("6", ("--set",), 6)],
)
def test_report_gives_units_back_or_sets_a_total(
    value: str, more: tuple[str, ...], total: float, console: Console
) -> None:
    done = console("report", CUSTOMER, TEMPLATES, value, *more, "--json")
    assert (done.status, done.err) == (0, "")
    told = json.loads(done.out)
    assert (told["acknowledged"], told["current_usage"]) == (True, total)
    assert (told["value"], told["update"]) == (
        float(value),
        "set" if more else "delta",
    )


def test_report_as_json_has_the_same_names_whatever_happens(
    console: Console, sidecar: LocalSidecar
) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    done = console(
        *("report", CUSTOMER, CAMPAIGNS, "3", "--resource", "site-01", "--json"),
        *("--dimension", "region=eu", "--at", at.isoformat()),
    )
    told = json.loads(done.out)
    assert told.pop("measurement_id")
    assert told.pop("usage_period_start") < at.isoformat() < told["usage_period_end"]
    assert told.pop("usage_period_end")
    assert told == {
        "acknowledged": True,
        "customer_id": CUSTOMER,
        "resource_id": "site-01",
        "feature_id": CAMPAIGNS,
        "value": 3.0,
        "update": "delta",
        "dimensions": {"region": "eu"},
        "timestamp": at.isoformat(),
        "current_usage": 3.0,
        "error": None,
    }
    refused = console("report", "nobody", CAMPAIGNS, "3", "--json")
    assert refused.status == 1
    failed = json.loads(refused.out)
    assert failed.keys() == json.loads(done.out).keys()
    assert (failed["acknowledged"], failed["measurement_id"]) == (False, None)
    assert failed["error"]["code"] == "NOT_FOUND"
    assert failed["error"]["may_have_arrived"] is False
    sidecar.stop()
    unreached = console("report", CUSTOMER, CAMPAIGNS, "3", "--json")
    assert unreached.status == 3
    assert json.loads(unreached.out)["error"]["code"] == "UNAVAILABLE"


def test_time_counts_in_the_period_it_falls_into(console: Console) -> None:
    old = ("report", CUSTOMER, CAMPAIGNS, "7", "--at", "2026-01-01T00:00+02:00")
    told = json.loads(console(*old, "--json").out)
    assert told["timestamp"] == "2025-12-31T22:00:00+00:00"
    assert told["usage_period_start"] == "2025-12-21T00:00:00+00:00"
    assert "Period:    2025-12-21T00:00:00+00:00 to 2026-01-21" in console(*old).out
    new = json.loads(console("report", CUSTOMER, CAMPAIGNS, "1", "--json").out)
    assert (new["current_usage"], new["timestamp"]) == (1, None)


def test_event_arrives_with_everything_that_was_typed(
    ask: Front, sidecar: LocalSidecar
) -> None:
    done = ask(
        *("event", CUSTOMER, "export", "--resource", "site-01"),
        *("--dimension", "format=pdf", "--dimension", "pages=12"),
        *("--dimension", "draft=true", "--dimension", 'zip="007"'),
        *("--idempotency-key", "key-1", "--at", "2026-11-01"),
    )
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "acknowledged",
        "",
        f"Customer:    {CUSTOMER}, resource site-01",
        "Event:       export",
        'Dimension:   format = "pdf"',
        "Dimension:   pages = 12",
        "Dimension:   draft = true",
        'Dimension:   zip = "007"',
        "Key:         key-1",
        "Time:        2026-11-01T00:00:00+00:00",
    ]
    (event,) = sidecar.events
    assert (event.customer_id, event.resource_id) == (CUSTOMER, "site-01")
    assert (event.event_name, event.idempotency_key) == ("export", "key-1")
    assert event.timestamp.ToDatetime(tzinfo=UTC) == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("eu", {"string_value": "eu"}),
        ("5", {"number_value": 5}),
        ("-2.5e1", {"number_value": -25}),
        ("true", {"boolean_value": True}),
        ("false", {"boolean_value": False}),
        ('"5"', {"string_value": "5"}),
        ('"a=\\u00e9"', {"string_value": "a=é"}),
        ("007", {"string_value": "007"}),
        ("null", {"string_value": "null"}),
        ("NaN", {"string_value": "NaN"}),
        ("[1]", {"string_value": "[1]"}),
        ("a=b", {"string_value": "a=b"}),
        ("", {"string_value": ""}),
    ],
)
def test_dimension_has_the_type_that_is_typed(
    typed: str, sent: Mapping[str, object], console: Console, sidecar: LocalSidecar
) -> None:
    assert console("event", CUSTOMER, "e", "--dimension", f"d={typed}").status == 0
    (event,) = sidecar.events
    assert event.dimensions["d"] == EventDimensionValue(**sent)  # type: ignore[arg-type]


def test_event_again_with_key_and_time_is_the_same_event(
    console: Console, sidecar: LocalSidecar
) -> None:
    same = ("--idempotency-key", "k", "--at", "2026-11-01T10:00:00Z")
    first = console("event", CUSTOMER, "e", *same, "--json")
    assert first.out == console("event", CUSTOMER, "e", *same, "--json").out
    assert len(sidecar.events) == 1
    assert json.loads(first.out) == {
        "acknowledged": True,
        "customer_id": CUSTOMER,
        "resource_id": None,
        "event_name": "e",
        "idempotency_key": "k",
        "dimensions": {},
        "timestamp": "2026-11-01T10:00:00+00:00",
        "error": None,
    }
    keys = [
        json.loads(console("event", CUSTOMER, "e", "--json").out)["idempotency_key"]
        for _ in range(2)
    ]
    assert len(set(keys)) == 2
    assert len(sidecar.events) == 3


def test_time_is_the_sidecars_own_where_none_is_typed() -> None:
    with counting_sidecar() as sidecar:
        console = Console(target=sidecar.target)
        console.group = ()
        assert console("report", CUSTOMER, TEMPLATES, "1").status == 0
        assert console("event", CUSTOMER, "e", "--idempotency-key", "k").status == 0
        assert console("report", CUSTOMER, TEMPLATES, "1", "--at", "now").status == 0
        (request,) = sidecar.events.values()
    assert not request.events[0].HasField("timestamp")
    stamped = [report.HasField("timestamp") for report in sidecar.reports]
    assert stamped == [False, True]


def test_report_that_may_have_arrived_is_told_so() -> None:
    with counting_sidecar() as sidecar:
        sidecar.faults.append("after")
        console = Console(target=sidecar.target)
        console.group = ()
        done = console("report", CUSTOMER, TEMPLATES, "2")
    assert done.status == 3
    assert "; it may have arrived, so look before you send it again." in done.error


@pytest.mark.parametrize("command", [("report", TEMPLATES, "1"), ("event", "e")])
def test_sidecar_that_is_not_there_is_status_3(
    command: tuple[str, ...], ask: Front, sidecar: LocalSidecar
) -> None:
    sidecar.stop()
    name, *rest = command
    done = ask(name, CUSTOMER, *rest)
    assert (done.status, done.out) == (3, "")
    assert done.error.startswith("There is no acknowledgement: Report")
    assert "it did not arrive, so it can be sent again." in done.error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["report", CUSTOMER, TEMPLATES], "Missing argument 'VALUE'."),
        (["report", CUSTOMER, TEMPLATES, "x"], "Invalid value for 'VALUE': 'x' is no"),
        (["report", CUSTOMER, TEMPLATES, "nan"], "VALUE is nan; give a finite number"),
        (["report", CUSTOMER, TEMPLATES, "1e30"], "VALUE is 1e+30; give a finite"),
        (
            ["report", CUSTOMER, TEMPLATES, "-1", "--set"],
            "VALUE is -1.0; give a finite",
        ),
        (["report", CUSTOMER, TEMPLATES, "--sett", "1"], "No such option"),
        (
            ["report", CUSTOMER, TEMPLATES, "1", "--sett"],
            "Got unexpected extra argument",
        ),
        (["report", "", TEMPLATES, "1"], "Subject.customer_id is ''"),
        (["report", CUSTOMER, "", "1"], "the feature id is ''; give its id"),
        (["report", "no one", TEMPLATES, "1"], "The sidecar refused it: ReportUsage"),
        (["event", CUSTOMER], "Missing argument 'NAME'."),
        (["event", CUSTOMER, " "], 'NAME is " "; give a text that is not empty.'),
        (["event", CUSTOMER, "e", "--idempotency-key", ""], '--idempotency-key is ""'),
        (["event", CUSTOMER, "e", "--dimension", "a"], '--dimension is "a"; use name='),
        (
            ["event", CUSTOMER, "e", "--dimension", "=a"],
            '--dimension is "=a"; use name=',
        ),
        (
            ["event", CUSTOMER, "e", "--dimension", "a=1", "--dimension", "a=2"],
            '--dimension "a" was given twice; give it once.',
        ),
        (
            ["event", CUSTOMER, "e", "--dimension", 'a="b'],
            '--dimension is "a="b", whose quotes do not fit; use name=value',
        ),
        (["event", CUSTOMER, "e", "--dimension", "a=1e999"], "dimension 'a' cannot be"),
        (
            ["event", CUSTOMER, "e", "--at", "soon"],
            '--at is "soon"; use a time such as',
        ),
        (["event", CUSTOMER, "e", "--at", "2026-02-30"], '--at is "2026-02-30"; use'),
        (["event", CUSTOMER, "e", "--at", "0001-01-01"], '--at is "0001-01-01"; use'),
    ],
)
def test_wrong_words_are_one_error(
    arguments: list[str], error: str, console: Console, sidecar: LocalSidecar
) -> None:
    done = console(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.error.startswith(error)
    assert not sidecar.events
