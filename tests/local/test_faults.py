"""Simulated outages: what calls meet while they are on, and that they end."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from typing import Any, cast

import grpc
import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from sidecar_client.local.faults import MOST_FAULTS, Fault, FaultError, Faults
from sidecar_client.local.feed import Feed
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW, ask, check, refusal

CUSTOMER = "customer-demo-01"
TEMPLATES: dict[str, Any] = {
    "customer_id": CUSTOMER,
    "feature_id": "feature-01-templates",
}
CHECK = pb.GetEntitlementRequest(**TEMPLATES)


@pytest.fixture
def faults() -> Faults:
    return Faults(Feed(lambda: NOW))


def test_refused_calls_are_unavailable_until_it_ends(demo: LocalSidecar) -> None:
    with demo.fault(refuse="unavailable"):
        code, message = refusal(demo, CHECK)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert message == (
            "simulated by the local sidecar (fault 1: all methods are answered "
            "UNAVAILABLE)."
        )
    assert check(demo, "feature-01-templates", customer_id=CUSTOMER) is None


@pytest.mark.parametrize("code", [c.name for c in grpc.StatusCode if c.name != "OK"])
def test_every_code_can_be_answered(demo: LocalSidecar, code: str) -> None:
    with demo.fault(code=code):
        assert refusal(demo, CHECK)[0].name == code


def test_only_the_named_methods_meet_it(demo: LocalSidecar) -> None:
    with demo.fault(code="INTERNAL", methods=["ReportUsage", "ReportEvents"]) as fault:
        ask(demo, CHECK)
        report = pb.ReportUsageRequest(**TEMPLATES, value=1)
        assert refusal(demo, report)[0] is grpc.StatusCode.INTERNAL
        assert fault.met == 1
    answer: pb.ReportUsageResponse = ask(demo, report)
    assert answer.current_usage == 4, "the refused report was not counted"


def test_share_of_the_calls_meets_it_evenly(demo: LocalSidecar) -> None:
    met: list[bool] = []
    with demo.fault(code="INTERNAL", share=0.25):
        for _ in range(8):
            try:
                ask(demo, CHECK)
                met.append(False)
            except grpc.RpcError:
                met.append(True)
    assert met == [False, False, False, True] * 2


def test_delayed_calls_are_answered_late(demo: LocalSidecar) -> None:
    began = time.monotonic()
    with demo.fault(delay=0.2):
        ask(demo, CHECK)
    assert time.monotonic() - began >= 0.2


def test_delay_longer_than_the_deadline_is_met_by_the_caller(
    demo: LocalSidecar,
) -> None:
    with demo.fault(delay=60), grpc.insecure_channel(demo.target) as channel:
        call = cast("Any", channel).unary_unary(
            "/stigg.sidecar.v1.SidecarService/GetEntitlement"
        )
        with pytest.raises(grpc.RpcError) as caught:
            call(CHECK.SerializeToString(), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_closed_sidecar_does_not_listen_and_comes_back_on_its_port(
    demo: LocalSidecar,
) -> None:
    port = demo.port
    with demo.fault(refuse="closed"):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((demo.host, port))
        assert refusal(demo, CHECK)[0] is grpc.StatusCode.UNAVAILABLE
    assert demo.port == port
    ask(demo, CHECK)


async def test_closed_on_the_running_loop_is_awaited() -> None:
    async with LocalSidecar() as sidecar:
        with (
            pytest.raises(ConfigurationError, match="use `async with sidecar"),
            sidecar.fault(refuse="closed"),
        ):
            pass
        assert not sidecar.faults.active
        async with sidecar.fault(refuse="closed"):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((sidecar.host, sidecar.port))
        socket.create_connection((sidecar.host, sidecar.port)).close()


def test_sidecar_that_starts_closed_listens_when_that_ends() -> None:
    sidecar = LocalSidecar()
    with sidecar.fault(refuse="closed"), sidecar:
        assert refusal(sidecar, CHECK)[0] is grpc.StatusCode.UNAVAILABLE
        sidecar.faults.end_all()
        sidecar.follow_faults_in_thread()
        ask(sidecar, CHECK)


def test_port_that_was_taken_meanwhile_is_told(demo: LocalSidecar) -> None:
    taken = f"port {demo.port} on .* is taken by"
    closed = demo.fault(refuse="closed")
    squatting = ExitStack()
    with squatting, pytest.raises(ConfigurationError, match=taken), closed:
        squatting.enter_context(socket.create_server((demo.host, demo.port)))
    demo.stop()
    demo.start()
    ask(demo, CHECK)


def test_faults_add_up_and_end_one_by_one(demo: LocalSidecar) -> None:
    with demo.fault(code="INTERNAL") as first, demo.fault(code="ABORTED") as second:
        assert refusal(demo, CHECK)[0] is grpc.StatusCode.INTERNAL
        demo.faults.end(first.number)
        assert refusal(demo, CHECK)[0] is grpc.StatusCode.ABORTED
        assert [active.number for active in demo.faults.active] == [second.number]
    ask(demo, CHECK)


def test_beginning_and_end_are_in_the_feed(demo: LocalSidecar) -> None:
    with demo.fault(code="INTERNAL", share=0.5):
        ask(demo, CHECK)
        refusal(demo, CHECK)
    told = [item for item in demo.feed.since(0).happenings if item.kind == "fault"]
    says = "all methods are answered INTERNAL, 50% of calls"
    assert [dict(item.facts) for item in told] == [
        {"number": 1, "state": "begun", "says": says},
        {"number": 1, "state": "ended", "says": says, "met": 1},
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the fault changes nothing; give refuse, code or delay"),
        ({"refuse": "maybe"}, "refuse is 'maybe'; use 'unavailable' or 'closed'"),
        ({"code": "OK"}, "code is 'OK'; use one of: CANCELLED, "),
        ({"code": 14}, "code is 14; use one of: "),
        ({"refuse": "unavailable", "code": "INTERNAL"}, "give one of both"),
        ({"delay": -1}, "delay is -1; use a number of seconds from 0 to 3600"),
        ({"delay": float("nan")}, "delay is nan; use a number"),
        ({"delay": True}, "delay is True; use a number"),
        ({"delay": 1, "share": 0}, "share is 0; use a number above 0, at most 1"),
        ({"delay": 1, "share": 1.5}, "share is 1.5; use a number above 0"),
        ({"delay": 1, "methods": ["Get"]}, "methods has 'Get'; use some of: Get"),
        ({"refuse": "closed", "share": 0.5}, "leave delay, methods and share out"),
    ],
)
def test_fault_that_cannot_be_is_told_with_its_cure(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FaultError) as caught:
        LocalSidecar().fault(**options)
    assert message in str(caught.value)


def test_there_are_only_so_many_at_once(faults: Faults) -> None:
    for _ in range(MOST_FAULTS):
        faults.begin(Fault(delay=1))
    with pytest.raises(FaultError, match="100 faults are on already; end some first"):
        faults.begin(Fault(delay=1))
    assert faults.end_all() == MOST_FAULTS
    faults.begin(Fault(delay=1))


def test_one_that_is_not_on_cannot_end(faults: Faults) -> None:
    with pytest.raises(FaultError, match="no fault 7 is on"):
        faults.end(7)


def test_who_is_told_of_a_fault_finds_it_as_it_was_told() -> None:
    feed = Feed(lambda: NOW)
    faults = Faults(feed)
    found: list[int] = []
    feed.listen(lambda _: found.append(len(faults.active)))
    begun = faults.begin(Fault(code="INTERNAL"))
    faults.end(begun.number)
    assert (found, begun.since) == ([1, 0], NOW)
