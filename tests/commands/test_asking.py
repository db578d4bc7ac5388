"""`check`, `entitlements` and `usage` in every front end, on a real sidecar."""

from __future__ import annotations

import json

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.metering.outbox.sqlite import SqliteOutbox
from tests.commands.fronts import Console, Front

CUSTOMER = "customer-demo-01"
LACKING = "customer-demo-02"
TEMPLATES = "feature-01-templates"
DOMAIN = "feature-03-custom-domain"
FORMATS = "feature-05-export-formats"
SIZE = "feature-06-max-file-size"


@pytest.fixture
def ask(front: Front) -> Front:
    """The front end, without the group `outbox`."""
    front.group = ()
    return front


@pytest.fixture
def console(outbox: SqliteOutbox, sidecar: LocalSidecar) -> Console:
    """The console alone, for what is the same everywhere."""
    found = Console(outbox=outbox.location, target=sidecar.target)
    found.group = ()
    return found


def test_check_shows_an_allowed_decision_and_what_it_rests_on(ask: Front) -> None:
    done = ask("check", CUSTOMER, TEMPLATES, "--usage", "2")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "allowed",
        "",
        f"Customer:     {CUSTOMER}",
        f"Needs:        {TEMPLATES} (usage 2)",
        "Entitlement:  metered, 3 of 6 used, 3 left",
        "Said by:      the sidecar",
    ]


def test_check_of_what_is_denied_ends_with_1_and_says_the_answer(ask: Front) -> None:
    done = ask("check", LACKING, DOMAIN)
    assert (done.status, done.err) == (1, "")
    lines = done.out.splitlines()
    assert lines[0] == "denied: NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert "Answer:       402, The current plan does not include this feature." in lines


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ([TEMPLATES, "--usage", "3"], 0),
        ([TEMPLATES, "--usage", "4"], 1),
        ([SIZE, "--at-least", "100"], 0),
        ([SIZE, "--at-least", "101"], 1),
        ([TEMPLATES, "--resource", "site-01"], 0),
        ([TEMPLATES, "--resource", "site-of-nobody"], 1),
        ([DOMAIN, "--values", "eu,us"], 1),
        (["credits-of-nobody", "--currency"], 1),
    ],
)
def test_check_asks_with_its_options(
    options: list[str], status: int, console: Console
) -> None:
    done = console("check", CUSTOMER, *options, "--json")
    assert (done.status, done.err) == (status, "")
    assert json.loads(done.out)["allowed"] is (status == 0)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        (["--value", "csv"], 0),
        (["--value", "csv", "--value", "xlsx"], 1),
        (["--values", "csv,xlsx"], 1),
        (["--value", "csv,xlsx"], 1),
    ],
)
def test_check_asks_for_every_value(
    values: list[str], status: int, console: Console
) -> None:
    done = console("check", LACKING, FORMATS, *values, "--json")
    assert (done.status, done.err) == (status, "")
    wanted = values[1::2] if values[0] == "--value" else values[1].split(",")
    told = json.loads(done.out)
    assert told["requested_values"] == wanted
    assert told["reason"] == (None if status == 0 else "REQUESTED_VALUES_MISMATCH")


def test_question_that_the_sidecar_refuses_is_one_error(console: Console) -> None:
    for command in (["check", "no one", DOMAIN], ["entitlements", "no one"]):
        done = console(*command)
        assert (done.status, done.out) == (2, "")
        assert done.error.startswith("The sidecar refused the question: GetEntitlement")
        assert "'no one' is no customer id" in done.error


def test_check_as_json_has_all_of_the_decision(console: Console) -> None:
    done = console("check", CUSTOMER, TEMPLATES, "--usage", "9", "--json")
    assert json.loads(done.out) == {
        "customer_id": CUSTOMER,
        "resource_id": None,
        "feature_id": TEMPLATES,
        "currency_id": None,
        "requested_usage": 9.0,
        "requested_values": [],
        "at_least": None,
        "allowed": False,
        "reason": "REQUESTED_USAGE_EXCEEDING_LIMIT",
        "is_fallback": False,
        "source": "sidecar",
        "entitlement": {"kind": "metered", "usage_limit": 6.0, "current_usage": 3.0},
        "status": 402,
    }


def test_entitlements_are_a_table_of_all_that_a_customer_has(ask: Front) -> None:
    done = ask("entitlements", CUSTOMER)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == [
        *("feature", "type", "access", "granted", "period", "ends")
    ]
    assert lines[1] == (
        "feature-01-templates      metered  yes     █████░░░░░ 3 of 6 used, 3 left"
    )
    assert lines[3].split() == [DOMAIN, "boolean", "yes", "yes"]
    assert lines[-1] == "6 entitlements, said by the sidecar."
    (first, *rest) = ask("entitlements", CUSTOMER, "--json").out.splitlines()
    assert json.loads(first) == {
        "id": TEMPLATES,
        "has_access": True,
        "reason": None,
        "is_fallback": False,
        "kind": "metered",
        "usage_limit": 6.0,
        "current_usage": 3.0,
    }
    assert len(rest) == 5


def test_customer_without_entitlements_is_one_error(ask: Front) -> None:
    done = ask("entitlements", "somebody-else")
    assert (done.status, done.out) == (1, "")
    assert done.error == (
        "Customer somebody-else has no entitlements: CUSTOMER_NOT_FOUND."
    )


def test_usage_shows_what_is_used_and_left(ask: Front) -> None:
    done = ask("usage", CUSTOMER, "feature-02-campaigns")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[1:5] == [
        "Feature:   feature-02-campaigns",
        "Used:      0",
        "Limit:     32",
        "Left:      32",
    ]
    assert lines[5].startswith("Resets:    in ")
    assert ask("usage", CUSTOMER, TEMPLATES).out.endswith("Resets:    never\n")
    told = json.loads(ask("usage", CUSTOMER, TEMPLATES, "--json").out)
    assert (told["current_usage"], told["usage_limit"]) == (3, 6)


def test_usage_is_reported_when_a_person_agrees(ask: Front) -> None:
    done = ask("usage", CUSTOMER, TEMPLATES, "--report", "2", typed="n\n")
    assert done.status == 1
    assert "Nobody agreed, so nothing was changed" in done.err
    done = ask("usage", CUSTOMER, TEMPLATES, "--report", "2", typed="y\n")
    assert done.status == 0
    assert done.err.strip() == f"Report +2 of {TEMPLATES} for {CUSTOMER}? [y/N]:"
    # Where the last space of a question goes differs between versions of click.
    assert done.out.strip() == f"Acknowledged: +2 of {TEMPLATES} for {CUSTOMER}."
    assert "Used:      5" in ask("usage", CUSTOMER, TEMPLATES).out


def test_usage_is_given_back_or_set_as_a_total(console: Console) -> None:
    console("usage", CUSTOMER, TEMPLATES, "--report", "-1", "--yes")
    assert "Used:      2" in console("usage", CUSTOMER, TEMPLATES).out
    done = console("usage", CUSTOMER, TEMPLATES, "--set", "6", "--yes")
    assert done.out == f"Acknowledged: 6 as the total of {TEMPLATES} for {CUSTOMER}.\n"
    assert "Left:      0" in console("usage", CUSTOMER, TEMPLATES).out


def test_usage_that_cannot_be_sent_is_stored_in_the_outbox(
    ask: Front, sidecar: LocalSidecar, outbox: SqliteOutbox
) -> None:
    sidecar.stop()
    done = ask("usage", CUSTOMER, TEMPLATES, "--report", "2", "--yes")
    assert done.out == (
        f"Stored in the outbox, to be delivered: +2 of {TEMPLATES} for {CUSTOMER}.\n"
    )
    (row,) = outbox.rows()
    assert (row.measurement.value, row.measurement.feature_id) == (2, TEMPLATES)


def test_usage_that_is_neither_acknowledged_nor_kept_is_a_failure(
    sidecar: LocalSidecar,
) -> None:
    console = Console(target=sidecar.target, drain_timeout="0.05")
    console.group = ()
    sidecar.stop()
    done = console("usage", CUSTOMER, TEMPLATES, "--report", "2", "--yes")
    assert done.status == 1
    assert done.error.startswith("The sidecar did not acknowledge it, and it was not")
    assert "failed to connect" in done.error
    sidecar.start()
    done = console("usage", "nobody", TEMPLATES, "--report", "2", "--yes")
    assert done.status == 1
    assert "it was not kept: +2 of" in done.error
    assert "there is no customer 'nobody'" in done.error


def test_missing_verdict_is_an_alarm_that_names_the_cause(
    ask: Front, sidecar: LocalSidecar
) -> None:
    sidecar.stop()
    done = ask("check", CUSTOMER, TEMPLATES)
    assert done.status == 3
    assert done.out.startswith("no verdict: views are allowed\n")
    assert "Said by:      ON_UNAVAILABLE: the sidecar gave no verdict" in done.out
    assert done.error.startswith("The sidecar gave no verdict: GetEntitlement on 127.")
    assert ask("usage", CUSTOMER, TEMPLATES).status == 3
    done = ask("entitlements", CUSTOMER)
    assert (done.status, done.out) == (3, "")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["check", CUSTOMER], "Missing argument 'FEATURE'."),
        (["check", "", DOMAIN], "Subject.customer_id is ''"),
        (["check", CUSTOMER, ""], "the feature id is ''; give its id"),
        (["check", CUSTOMER, DOMAIN, "--usage", "-1"], "usage is -1.0; give a finite"),
        (["check", CUSTOMER, DOMAIN, "--usage", "x"], "Invalid value for '--usage'"),
        (["usage", CUSTOMER, DOMAIN], f"{DOMAIN} is not metered: {CUSTOMER} has it as"),
        (["usage", CUSTOMER, DOMAIN, "--set", "-1", "--yes"], "value is -1.0; give"),
        (["usage", CUSTOMER, DOMAIN, "--set", "1", "--report", "1"], "--report and --"),
        (["entitlements"], "Missing argument 'CUSTOMER'."),
    ],
)
def test_wrong_words_are_one_error(
    arguments: list[str], error: str, console: Console
) -> None:
    done = console(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.error.startswith(error)


def test_sidecar_is_named_by_an_option(sidecar: LocalSidecar) -> None:
    console = Console()
    console.group = ()
    for command in ("check", "usage"):
        done = console(command, CUSTOMER, TEMPLATES, "--target", sidecar.target)
        assert (done.status, done.err) == (0, "")
    done = console("check", CUSTOMER, TEMPLATES, "--target", "a b")
    assert done.error.startswith('--target is "a b"; use "host:port", ')
