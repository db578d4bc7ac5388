"""The comparison itself: what it must see. `make interop` runs it with the peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from sidecar_client import GetEntitlementsResponse, ReportUsageRequest
from sidecar_client.methods import METHODS, Method
from tests.interop.calls import Call, Result, results_of
from tests.interop.comparing import differences
from tests.interop.echo import EchoServer, sent, steps
from tests.interop.filling import variants
from tests.interop.ours import async_results, sync_results

EACH_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)


def answered(response: dict[str, Any], **other: Any) -> list[Result]:
    return [Result(name="call", status="OK", response=response, **other)]


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ({"limit": 5.0}, {"limit": 5.5}, "call.limit: 5.0 is 5.5"),
        ({"limit": 0.0}, {}, "call.limit: 0.0 is nothing"),
        ({}, {"units": ""}, "call.units: nothing is ''"),
        ({"value": 1.0}, {"value": True}, "call.value: 1.0 is True"),
        ({"all": [1, 2]}, {"all": [1]}, "call.all[1]: 2 is nothing"),
        ({"a": {"b": "ü"}}, {"a": {"b": "u"}}, "call.a.b: 'ü' is 'u'"),
        ({"measurement_id": "1"}, {}, "call.measurement_id: '1' is nothing"),
    ],
)
def test_difference_of_answers_is_told(
    ours: dict[str, Any], theirs: dict[str, Any], said: str
) -> None:
    assert differences(answered(ours), answered(theirs)) == [said]


def test_difference_of_statuses_and_their_messages_is_told() -> None:
    refused = [Result(name="call", status="NOT_FOUND", message="no feature 'ü'")]
    assert differences(refused, [replace(refused[0], status="INTERNAL")]) == [
        "call: NOT_FOUND is INTERNAL"
    ]
    assert differences(refused, [replace(refused[0], message="")]) == [
        "call: \"no feature 'ü'\" is ''"
    ]


def test_result_that_is_missing_is_told() -> None:
    assert differences(answered({}), []) == ["call: only one has a result"]


def test_numbers_may_be_written_either_way_and_ids_of_reports_differ() -> None:
    ours = answered({"limit": 1.0, "measurement_id": "1"})
    theirs = answered({"limit": 1, "measurement_id": "2"})
    assert differences(ours, theirs) == []


def test_null_stands_for_a_message_that_is_not_set() -> None:
    text = '{"name": "call", "status": "OK", "response": {"metered": null, "x": [1]}}'
    assert results_of(text) == answered({"x": [1]})


@EACH_METHOD
def test_every_field_of_the_protocol_is_filled(method: Method[Any, Any]) -> None:
    for kind in (method.request, method.response):
        full = variants(kind)[2:]
        for field in kind.DESCRIPTOR.fields:
            assert any(field.name in _set(message) for message in full), field.full_name


def _set(message: Any) -> set[str]:
    return {field.name for field, _ in message.ListFields()}


def test_optional_fields_are_set_to_nothing_and_left_out() -> None:
    empty, zeros, *full = variants(ReportUsageRequest)
    assert empty == ReportUsageRequest()
    assert (zeros.HasField("resource_id"), zeros.resource_id) == (True, "")
    kinds = {
        value.WhichOneof("value")
        for message in full
        for value in message.dimensions.values()
    }
    assert kinds == {"string_value", "number_value", "boolean_value"}


def test_each_member_of_a_oneof_is_set_somewhere() -> None:
    last = variants(GetEntitlementsResponse)[-1]
    kinds = [part.WhichOneof("entitlement") for part in last.entitlements]
    assert set(kinds) == {"boolean", "numeric", "metered", "enum", None}


@pytest.mark.parametrize("caller", [sync_results, async_results])
def test_our_clients_read_and_write_every_field(
    caller: Callable[[str, Sequence[Call]], list[Result]],
) -> None:
    script = steps()
    with EchoServer(script) as server:
        got = caller(server.target, [step.call for step in script])
        arrived = server.arrived()
    assert differences([step.result for step in script], got) == []
    assert arrived == sent(script)
