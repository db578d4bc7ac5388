"""What is reported, and when: the same in every framework.

What is held meanwhile is in `holds`, bodies that are streamed in `streams`.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard import Guard, Subject
from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.fixtures import Build
from stigg_guard.testing.contract.routes import AT_LIMIT, TEMPLATES, WITHIN
from stigg_guard.testing.contract.usage import used


def test_successful_view_reports_what_it_used(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/templates", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 4


def test_usage_is_acknowledged_before_the_response_leaves(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    statuses = [client.post("/templates", WITHIN).status for _ in range(5)]
    assert statuses == [200, 200, 200, 402, 402]
    assert used(sidecar, WITHIN) == 6


def test_units_of_the_view_are_checked_and_reported(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/three", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 6
    assert client.post("/three", WITHIN).status == 402


def test_new_total_replaces_the_usage(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/total", AT_LIMIT).status == 200
    assert used(sidecar, AT_LIMIT) == 5


def test_denied_request_is_not_metered(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/templates", AT_LIMIT).status == 402
    assert used(sidecar, AT_LIMIT) == 6
    assert sidecar.calls["ReportUsage"] == 0


@pytest.mark.parametrize("status", [400, 404, 500])
def test_failed_view_is_not_metered(
    client: BehaviourClient, sidecar: LocalSidecar, status: int
) -> None:
    assert client.post(f"/templates?status={status}", WITHIN).status == status
    assert used(sidecar, WITHIN) == 3


def test_redirecting_view_is_metered(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/templates?status=303", WITHIN).status == 303
    assert used(sidecar, WITHIN) == 4


def test_view_that_raises_is_not_metered(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/templates?raise=1", WITHIN).status == 500
    assert used(sidecar, WITHIN) == 3
    assert client.post("/templates", WITHIN).status == 200


def test_view_says_which_statuses_count(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/created-only", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 3
    assert client.post("/created-only?status=201", WITHIN).status == 201
    assert used(sidecar, WITHIN) == 4


def test_head_is_never_metered(client: BehaviourClient, sidecar: LocalSidecar) -> None:
    assert client.request("HEAD", "/templates", customer=WITHIN).status == 200
    assert used(sidecar, WITHIN) == 3


def test_options_never_runs_a_metered_view(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    response = client.request("OPTIONS", "/templates", customer=AT_LIMIT)
    assert response.status in (200, 204)
    assert b"ok" not in response.body
    assert used(sidecar, AT_LIMIT) == 6


def test_units_of_one_request_are_added_up_before_they_are_checked(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/doubled", WITHIN).status == 402
    assert used(sidecar, WITHIN) == 3


def test_stacked_decorators_on_a_feature_ask_once(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/stacked", WITHIN).status == 200
    assert sidecar.calls == {"GetEntitlement": 1, "ReportUsage": 1}
    assert used(sidecar, WITHIN) == 4


def test_view_says_how_much_it_really_used(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/templates?use=2", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 5
    assert client.post("/templates?use=0", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 5
    assert client.post("/templates", WITHIN).status == 200


def test_response_says_how_much_was_used(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/by-response?units=2", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 5


def test_response_that_does_not_say_what_was_used_leaves_and_that_is_logged(
    client: BehaviourClient, sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        assert client.post("/by-response", WITHIN).status == 200
    assert "it cannot be measured" in caplog.text
    assert client.post("/three", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 6


def test_result_of_the_view_says_how_much_was_used(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/by-result", WITHIN).status == 200
    assert used(sidecar, WITHIN) == (5 if client.has_decorators else 4)


def test_arguments_of_the_view_say_how_much_is_needed(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    if not client.has_decorators:
        assert client.post("/three", WITHIN).status == 200
        return
    assert client.post("/numbered/4", WITHIN).status == 402
    assert client.post("/numbered/3", WITHIN).status == 200
    assert used(sidecar, WITHIN) == 6


def test_event_is_reported_without_a_question(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/event", AT_LIMIT).status == 200
    client.end()
    assert sidecar.calls == {"ReportEvents": 1}
    (event,) = sidecar.events
    assert (event.event_name, event.customer_id) == ("email.sent", AT_LIMIT)
    assert event.dimensions["kind"].string_value == "welcome"


def test_dimensions_of_an_event_may_depend_on_the_response(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/told-event?status=201", WITHIN).status == 201
    client.end()
    (event,) = sidecar.events
    assert event.dimensions["status"].number_value == 201
    assert event.dimensions["units"].number_value == 1


def test_event_needs_a_customer(client: BehaviourClient, sidecar: LocalSidecar) -> None:
    response = client.post("/event")
    assert (response.status, response.json["reason"]) == (403, "NO_CUSTOMER")
    client.end()
    assert not sidecar.events


def test_failed_view_reports_no_event(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/event?status=500", WITHIN).status == 500
    assert client.post("/event?raise=1", WITHIN).status == 500
    client.end()
    assert not sidecar.events


def test_view_may_report_usage_and_an_event(
    client: BehaviourClient, sidecar: LocalSidecar
) -> None:
    assert client.post("/both", WITHIN).status == 200
    client.end()
    assert used(sidecar, WITHIN) == 4
    assert [event.event_name for event in sidecar.events] == ["template.made"]


def test_usage_that_cannot_be_reported_is_logged_and_the_response_leaves(
    build: Build, sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    target = sidecar.target
    sidecar.stop()
    client = build(target=target, timeout=0.5, write_timeout=0.5, drain_timeout=0)
    with caplog.at_level(logging.ERROR, logger="stigg_guard"):
        assert client.post("/templates", WITHIN).status == 200
    assert "Usage was not acknowledged: feature feature-01-templates" in caplog.text
    assert WITHIN in caplog.text


def test_usage_from_before_a_restart_is_sent_with_the_first_request_of_any_kind(
    build: Build, sidecar: LocalSidecar, tmp_path: Path
) -> None:
    outbox = str(tmp_path / "outbox.db")
    before = Guard(target="127.0.0.1:1", outbox=outbox, outbox_worker=False)
    assert before.report(Subject(WITHIN), TEMPLATES) == "stored"
    before.close()

    client = build(target=sidecar.target, timeout=5, write_timeout=5, outbox=outbox)
    assert client.get("/plain", WITHIN).status == 200

    give_up = time.monotonic() + 10
    while used(sidecar, WITHIN) != 4:
        assert time.monotonic() < give_up, "it was not delivered"
        time.sleep(0.01)
