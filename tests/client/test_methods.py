"""All twelve methods of both clients, against a real server."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from sidecar_client import (
    GetEntitlementRequest,
    GetEntitlementResponse,
    ReportUsageRequest,
    SidecarRejected,
    Stigg,
    SyncStigg,
)
from sidecar_client.methods import METHODS, Method
from tests.client.servers import QUESTION, Say, Server

EACH_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def some(method: Method[Any, Any]) -> tuple[Message, Message]:
    """Return a request and an answer of the method, neither of them empty."""
    request, answer = method.request(), method.response()
    for message in (request, answer):
        for field in message.DESCRIPTOR.fields:
            if field.name in {"customer_id", "measurement_id"}:
                setattr(message, field.name, "c-1")
            if field.name in {"has_access", "entitled_entity_exists"}:
                setattr(message, field.name, True)
    return request, answer


@EACH_METHOD
def test_sync_method_sends_its_request_and_returns_its_answer(
    method: Method[Any, Any],
) -> None:
    request, answer = some(method)
    with (
        Server(Say(answer.SerializeToString())) as server,
        SyncStigg(target=server.target, timeout=10) as stigg,
    ):
        got = getattr(stigg, snake(method.name))(request)
    assert server.paths == [f"/stigg.sidecar.v1.SidecarService/{method.name}"]
    assert server.requests == [request.SerializeToString()]
    assert type(got) is method.response
    assert got == answer


@EACH_METHOD
async def test_async_method_sends_its_request_and_returns_its_answer(
    method: Method[Any, Any],
) -> None:
    request, answer = some(method)
    with Server(Say(answer.SerializeToString())) as server:
        async with Stigg(target=server.target, timeout=10) as stigg:
            got = await getattr(stigg, snake(method.name))(request)
    assert server.paths == [f"/stigg.sidecar.v1.SidecarService/{method.name}"]
    assert server.requests == [request.SerializeToString()]
    assert type(got) is method.response
    assert got == answer


def test_report_events_answers_empty() -> None:
    assert next(m for m in METHODS if m.name == "ReportEvents").response is Empty


def test_both_clients_have_the_same_methods_and_arguments() -> None:
    for name in map(snake, (m.name for m in METHODS)):
        ours, theirs = getattr(Stigg, name), getattr(SyncStigg, name)
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert inspect.iscoroutinefunction(ours)
        assert not inspect.iscoroutinefunction(theirs)
    assert inspect.signature(Stigg) == inspect.signature(SyncStigg)


async def test_another_methods_request_is_a_type_error_that_names_both() -> None:
    wrong: Any = ReportUsageRequest()
    message = "GetEntitlement takes a GetEntitlementRequest, not ReportUsageRequest"
    with pytest.raises(TypeError, match=message):
        SyncStigg(target="127.0.0.1:1").get_entitlement(wrong)
    with pytest.raises(TypeError, match=message):
        await Stigg(target="127.0.0.1:1").get_entitlement(wrong)


async def test_unknown_enum_numbers_and_fields_never_break_a_call() -> None:
    # has_access, a reason 99, and field 1000 with a string: from a newer sidecar.
    raw = bytes([0x08, 1, 0x18, 99]) + bytes([0xC2, 0x3E, 3]) + b"new"
    with Server(Say(raw)) as server:
        with SyncStigg(target=server.target, timeout=10) as stigg:
            got = stigg.get_entitlement(QUESTION)
        async with Stigg(target=server.target, timeout=10) as asynchronous:
            assert await asynchronous.get_entitlement(QUESTION) == got
    assert got.has_access
    assert int(got.access_denied_reason) == 99
    assert got.SerializeToString() == raw


async def test_answer_that_is_no_message_is_rejected_with_what_was_expected() -> None:
    with Server(Say(b"\xff\xff\xff")) as server:
        with (
            SyncStigg(target=server.target, timeout=10) as stigg,
            pytest.raises(SidecarRejected, match="not a GetEntitlementResponse"),
        ):
            stigg.get_entitlement(QUESTION)
        async with Stigg(target=server.target, timeout=10) as asynchronous:
            with pytest.raises(SidecarRejected, match="not a Stigg sidecar"):
                await asynchronous.get_entitlement(QUESTION)


def test_answers_of_many_megabytes_are_taken() -> None:
    answer = GetEntitlementResponse()
    answer.enum.enum_values.append("v" * (5 << 20))
    with (
        Server(Say(answer.SerializeToString())) as server,
        SyncStigg(target=server.target, timeout=10) as stigg,
    ):
        assert stigg.get_entitlement(QUESTION, timeout=10) == answer


def test_a_message_is_sent_as_it_was_filled_in() -> None:
    request = GetEntitlementRequest(customer_id="c", feature_id="f", resource_id="")
    with Server() as server, SyncStigg(target=server.target, timeout=10) as stigg:
        stigg.get_entitlement(request)
    assert GetEntitlementRequest.FromString(server.requests[0]).HasField("resource_id")
