"""Serving: on a loop, in a thread, again on the same port; what else is on the port."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, server
from sidecar_client.local.service import SidecarService
from sidecar_client.local.stores.base import Entry
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.protocol import sidecar_pb2 as pb
from sidecar_client.protocol import sidecar_pb2_grpc
from tests.local.wire import NOW, ask, check, refusal

SERVICE = "stigg.sidecar.v1.SidecarService"
TEMPLATES: dict[str, Any] = {
    "customer_id": "customer-demo-01",
    "feature_id": "feature-01-templates",
}


def left(sidecar: LocalSidecar, requested: float) -> bool:
    answer: pb.GetMeteredEntitlementResponse = ask(
        sidecar,
        pb.GetMeteredEntitlementRequest(
            **TEMPLATES, options=pb.MeteredEntitlementOptions(requested_usage=requested)
        ),
    )
    return answer.has_access


async def test_serves_on_the_running_loop() -> None:
    async with LocalSidecar() as sidecar:
        async with grpc.aio.insecure_channel(sidecar.target) as channel:
            stub = cast("Any", sidecar_pb2_grpc.SidecarServiceStub)(channel)
            answer = await stub.GetEntitlement(pb.GetEntitlementRequest(**TEMPLATES))
        assert answer.has_access
        assert not [t for t in threading.enumerate() if t.name == "local-sidecar"]
    with pytest.raises(grpc.RpcError):
        ask(sidecar, pb.GetEntitlementRequest(**TEMPLATES))


def test_serves_from_a_thread_that_ends_with_it() -> None:
    with LocalSidecar() as sidecar:
        assert left(sidecar, 3)
    assert not [t for t in threading.enumerate() if t.name == "local-sidecar"]
    with pytest.raises(grpc.RpcError):
        left(sidecar, 3)


def test_loops_one_after_the_other_leave_nothing_behind() -> None:
    async def serve_once() -> None:
        async with LocalSidecar():
            pass

    def serve() -> None:
        for _ in range(3):
            asyncio.run(serve_once())
        gc.collect()

    # In a thread: `asyncio.run` would take the loop that async tests have set in ours.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(serve).result()


def test_restart_keeps_port_and_usage() -> None:
    with LocalSidecar() as sidecar:
        port = sidecar.port
        ask(sidecar, pb.ReportUsageRequest(**TEMPLATES, value=2))
        sidecar.stop()
        sidecar.start()
        assert sidecar.port == port
        assert left(sidecar, 1)
        assert not left(sidecar, 2)


async def test_restart_on_a_loop_keeps_port_and_usage() -> None:
    sidecar = LocalSidecar()
    await sidecar.astart()
    port = sidecar.port
    await sidecar.astop()
    await sidecar.astart()
    assert sidecar.port == port
    await sidecar.astop()


def test_stopping_twice_does_no_harm() -> None:
    sidecar = LocalSidecar()
    sidecar.stop()
    sidecar.start()
    sidecar.stop()
    sidecar.stop()


class Swallowing(MemoryStore):
    """It answers in the very moment in which who waits for it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.is_scanned = asyncio.Event()

    async def scan(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> list[tuple[str, Entry]]:
        if not self.is_scanned.is_set():
            self.is_scanned.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
        return await super().scan(prefix, after=after, limit=limit)


async def test_stopping_ends_pruning_that_did_not_hear_that_it_was_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sidecar_client.local.pruning._REST", 0.0)
    store = Swallowing()
    async with asyncio.timeout(20):
        async with LocalSidecar(store=store):
            await store.is_scanned.wait()


def test_starting_twice_is_an_error_and_serving_goes_on() -> None:
    with LocalSidecar() as sidecar:
        with pytest.raises(ConfigurationError, match="is already running; stop it"):
            sidecar.start()
        assert left(sidecar, 1)


def test_clock_may_be_in_any_zone() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=14)))
    with LocalSidecar(clock=lambda: east) as sidecar:
        answer: pb.ReportUsageResponse = ask(
            sidecar,
            pb.ReportUsageRequest(
                customer_id="customer-demo-01",
                feature_id="feature-07-active-users",
                value=1,
            ),
        )
    expected = Timestamp()
    expected.FromDatetime(datetime(2023, 11, 21))
    assert answer.usage_period_start == expected


@pytest.mark.parametrize(
    ("told", "kind", "message"),
    [
        (None, TypeError, "clock returned None; use a function that returns an aware"),
        (1_700_000_000, TypeError, "clock returned 1700000000; use a function"),
        (
            datetime(2023, 12, 1),
            ValueError,
            "clock returned 2023-12-01 00:00:00, which has no zone; use a function",
        ),
        (
            datetime.max.replace(tzinfo=UTC),
            ValueError,
            "use a time between the years 1970 and 9000",
        ),
    ],
)
def test_clock_that_tells_no_time_is_an_error_at_the_start(
    told: object, kind: type[Exception], message: str
) -> None:
    sidecar = LocalSidecar(clock=cast("Any", lambda: told))
    with pytest.raises(kind, match=message):
        sidecar.start()
    assert not [t for t in threading.enumerate() if t.name == "local-sidecar"]


def test_clock_that_is_no_function_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"clock is datetime.*; use a function"):
        LocalSidecar(clock=cast("Any", NOW))


def test_calls_are_counted_by_method(demo: LocalSidecar) -> None:
    check(demo, "feature-01-templates", customer_id="customer-demo-01")
    check(demo, "feature-99", customer_id="customer-demo-01")
    refusal(demo, pb.ReportEventsRequest())
    assert demo.calls == {"GetEntitlement": 2, "ReportEvents": 1}


def test_taken_port_is_an_error_that_says_by_what(demo: LocalSidecar) -> None:
    second = LocalSidecar(port=demo.port)
    with pytest.raises(ConfigurationError) as caught:
        second.start()
    message = str(caught.value)
    assert f"port {demo.port} on 127.0.0.1 is taken by process" in message
    assert "--port" in message
    assert left(demo, 1), "the first one is not disturbed"


def test_port_taken_in_the_last_moment_is_not_shared(
    demo: LocalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_it_free(*_: object) -> None:
        """Somebody takes the port only after we looked."""

    monkeypatch.setattr(server, "check_address", find_it_free)
    with pytest.raises(ConfigurationError, match=f"{demo.target} cannot be bound"):
        LocalSidecar(port=demo.port).start()


def test_port_of_another_process_is_told_with_its_command() -> None:
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); "
        "print(s.getsockname()[1], flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with pytest.raises(ConfigurationError, match=f"process {process.pid} \\("):
            LocalSidecar(port=port).start()
        process.communicate(b"\n")


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("127.0.0.1", 65536, "port 65536 is no port"),
        ("no such host", 8443, "'no such host' is no address"),
        ("no such host", 0, "'no such host' is no address"),
        ("", 8443, "the host is empty; use one such as 127.0.0.1"),
        ("", 0, "the host is empty; use one such as 127.0.0.1"),
        ("unix:/tmp/sidecar", 0, "'unix:/tmp/sidecar' is no address"),
        ("a\0b", 0, "is no address"),
        ("192.0.2.1", 0, "choose an address of this machine"),
        ("192.0.2.1", 8443, "choose an address of this machine"),
    ],
)
def test_address_that_is_none_is_an_error(host: str, port: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LocalSidecar(host=host, port=port).start()


def test_ipv6_loopback_is_served_where_there_is_one() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with LocalSidecar(host="::1") as sidecar:
        assert sidecar.target == f"[::1]:{sidecar.port}"
        assert left(sidecar, 1)


@pytest.mark.parametrize("service", ["", SERVICE])
def test_health_service_says_serving(demo: LocalSidecar, service: str) -> None:
    with grpc.insecure_channel(demo.target) as channel:
        stub = cast("Any", health_pb2_grpc.HealthStub)(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(demo: LocalSidecar) -> None:
    with grpc.insecure_channel(demo.target) as channel:
        stub = cast("Any", reflection_pb2_grpc.ServerReflectionStub)(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
    names = {item.name for item in answer.list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names


def test_bytes_that_are_no_request_are_refused(demo: LocalSidecar) -> None:
    with grpc.insecure_channel(demo.target) as channel:
        call = cast("Any", channel).unary_unary(f"/{SERVICE}/GetEntitlement")
        for garbage in (b"\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"):
            with pytest.raises(grpc.RpcError) as caught:
                call(garbage, timeout=10)
            error = cast("grpc.Call", caught.value)
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "no GetEntitlementRequest" in (error.details() or "")
    assert left(demo, 1)


def test_own_failure_is_a_status_without_a_traceback(
    demo: LocalSidecar,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(SidecarService, "verdict", fail)
    with caplog.at_level(logging.ERROR):
        code, message = refusal(demo, pb.GetEntitlementRequest(**TEMPLATES))
    assert code is grpc.StatusCode.INTERNAL
    assert (
        message == "GetEntitlement failed inside the local sidecar; its log says why."
    )
    assert "RuntimeError: secret" in caplog.text


def test_requests_are_logged_for_those_who_debug(
    demo: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="sidecar_client.local"):
        left(demo, 1)
        refusal(demo, pb.ReportUsageBulkRequest())
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0].startswith("GetMeteredEntitlement: OK in ")
    assert messages[1].startswith("ReportUsageBulk: INVALID_ARGUMENT usages has 0")
