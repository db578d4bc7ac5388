"""HTTP beside gRPC: ports, restarts, health, metrics, and the process around."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from sidecar_client.local.http import side
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.server import HttpServer
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.http.conftest import Client
from tests.local.wire import ask, check, refusal

TEMPLATES = "feature-01-templates"


def test_there_is_no_http_unless_it_is_wanted() -> None:
    with LocalSidecar() as sidecar:
        assert sidecar.http_url is None
        assert sidecar.http_port is None


async def test_http_is_served_on_the_running_loop() -> None:
    async with LocalSidecar(http_port=0) as sidecar:
        assert sidecar.http_url
        async with httpx.AsyncClient(base_url=sidecar.http_url) as client:
            assert (await client.get("/livez")).json() == {"status": "UP"}
    with pytest.raises(httpx.ConnectError):
        await asyncio.to_thread(httpx.get, f"{sidecar.http_url}/livez")


def test_start_does_not_wait_for_what_http_has_to_load(
    client_of: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_loaded, load = threading.Event(), vars(side)["_server"]

    def load_late(parts: Parts) -> HttpServer:
        assert is_loaded.wait(20)
        return cast("HttpServer", load(parts))

    monkeypatch.setattr(side, "_server", load_late)
    with LocalSidecar(http_port=0) as sidecar:
        check(sidecar, TEMPLATES, customer_id="customer-demo-01")
        with ThreadPoolExecutor(1) as waiting:
            answer = waiting.submit(client_of(sidecar).get, "/livez")
            is_loaded.set()
            assert answer.result().json() == {"status": "UP"}


def test_http_that_cannot_be_loaded_is_logged_and_grpc_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Parts) -> HttpServer:
        raise RuntimeError("broken")

    monkeypatch.setattr(side, "_server", fail)
    with LocalSidecar(http_port=0) as sidecar:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{sidecar.http_url}/livez", verify=False)
        check(sidecar, TEMPLATES, customer_id="customer-demo-01")
    assert "The HTTP side of the local sidecar does not start" in caplog.text
    assert "RuntimeError: broken" in caplog.text


def test_sidecar_that_stops_at_once_stops_in_order() -> None:
    with LocalSidecar(http_port=0) as sidecar:
        pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{sidecar.http_url}/livez", verify=False)


def test_restart_keeps_the_port_and_what_was_counted(client_of: Client) -> None:
    with LocalSidecar(http_port=0) as sidecar:
        client = client_of(sidecar)
        check(sidecar, TEMPLATES, customer_id="customer-demo-01")
        before = sidecar.http_url
        sidecar.stop()
        with pytest.raises(httpx.ConnectError):
            client.get("/livez")
        sidecar.start()
        assert sidecar.http_url == before
        check(sidecar, TEMPLATES, customer_id="customer-demo-01")
        assert counted(client)['local_sidecar_checks_total{access="granted"}'] == 2


def test_taken_port_is_an_error_and_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sidecar = LocalSidecar(http_port=port)
        with pytest.raises(ConfigurationError) as caught:
            sidecar.start()
    assert f"port {port} on 127.0.0.1 is taken by process" in str(caught.value)
    assert "--http-port" in str(caught.value)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((sidecar.host, sidecar.port))
    assert set(threading.enumerate()) <= before


def test_follower_of_the_feed_does_not_keep_it_from_stopping() -> None:
    with LocalSidecar(http_port=0) as sidecar:
        with httpx.stream("GET", f"{sidecar.http_url}/local/feed") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            sidecar.stop()
            assert "data:" in "".join(lines)
        assert sidecar.feed.subscribers == 0


async def test_signals_and_logs_of_the_process_stay_as_they_are() -> None:
    handler = signal.getsignal(signal.SIGINT)
    access = logging.getLogger("uvicorn.access")
    before = (list(access.handlers), access.propagate, access.level)
    async with LocalSidecar(http_port=0) as sidecar:
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{sidecar.http_url}/livez")).is_success
        assert signal.getsignal(signal.SIGINT) is handler
        assert (list(access.handlers), access.propagate, access.level) == before


def test_requests_are_logged_once_for_those_who_debug(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client.get("/livez")
    told = [r for r in caplog.records if "/livez" in r.getMessage()]
    told = [r for r in told if not r.name.startswith("http")]
    (record,) = told
    assert record.name == "sidecar_client.local"
    assert record.getMessage().startswith("GET /livez: 200 in ")


def test_own_failure_is_an_answer_without_a_traceback(
    running: LocalSidecar,
    client: httpx.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(running.feed), "subscribe", fail)
    answer = client.get("/local/feed")
    assert answer.status_code == 500
    assert answer.json() == {
        "message": "GET /local/feed failed inside the local sidecar; its log says why."
    }
    assert caplog.text.count("RuntimeError: secret") == 1


def test_readiness_follows_an_outage_and_liveness_does_not(
    running: LocalSidecar, client: httpx.Client
) -> None:
    assert client.get("/readyz").json() == {"status": "UP"}
    with running.fault(refuse="unavailable"):
        down = client.get("/readyz")
        assert (down.status_code, down.json()) == (503, {"status": "DOWN"})
        assert client.get("/livez").status_code == 200
        assert client.get("/local/about").json()["ready"] is False
    with running.fault(code="INTERNAL", methods=["ReportUsage"]):
        assert client.get("/readyz").status_code == 200


def test_health_paths_can_be_others(client_of: Client) -> None:
    sidecar = LocalSidecar(http_port=0, health_path="alive", ready_path="/x/ready")
    with sidecar:
        client = client_of(sidecar)
        assert client.get("/alive").json() == {"status": "UP"}
        assert client.get("/x/ready").json() == {"status": "UP"}
        assert client.get("/livez").status_code == 404


def counted(client: httpx.Client) -> dict[str, float]:
    """The samples by name and labels; empty labels left out."""
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(
                f'{k}="{v}"' for k, v in sorted(sample.labels.items()) if v
            )
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            samples[name] = sample.value
    return samples


def test_metrics_have_the_real_names_and_count_what_happens(client_of: Client) -> None:
    with LocalSidecar(http_port=0) as sidecar:
        customer = "customer-demo-01"
        check(sidecar, TEMPLATES, customer_id=customer)
        check(sidecar, TEMPLATES, customer_id="customer-demo-02")
        check(sidecar, TEMPLATES, customer_id="nobody")
        report = pb.ReportUsageRequest(
            customer_id=customer, feature_id=TEMPLATES, value=1
        )
        ask(sidecar, report)
        ask(sidecar, pb.ReportUsageBulkRequest(usages=[report, report]))
        event: dict[str, Any] = {"event_name": "e", "customer_id": customer}
        events = [pb.Event(idempotency_key=str(n), **event) for n in range(3)]
        ask(sidecar, pb.ReportEventsRequest(events=events))
        refusal(sidecar, pb.ReportEventsRequest())
        samples = counted(client_of(sidecar))
    assert {
        name: samples[name]
        for name in (
            "sidecar_initialization_errors_total",
            "sidecar_invalid_api_key_errors_total",
            "sidecar_network_request_errors_total",
            "sidecar_redis_client_errors_total",
            "sidecar_cache_hits_total",
            "sidecar_cache_misses_total",
        )
    } == {
        "sidecar_initialization_errors_total": 0,
        "sidecar_invalid_api_key_errors_total": 0,
        "sidecar_network_request_errors_total": 0,
        "sidecar_redis_client_errors_total": 0,
        "sidecar_cache_hits_total": 2,
        "sidecar_cache_misses_total": 1,
    }
    checks = 'local_sidecar_checks_total{access="%s"}'
    denied = 'local_sidecar_checks_total{access="denied",reason="%s"}'
    rpcs = 'local_sidecar_rpcs_total{code="%s",method="%s"}'
    assert samples[checks % "granted"] == 1
    assert samples[denied % "REQUESTED_USAGE_EXCEEDING_LIMIT"] == 1
    assert samples[denied % "CUSTOMER_NOT_FOUND"] == 1
    assert samples["local_sidecar_reports_total"] == 3
    assert samples["local_sidecar_events_total"] == 3
    assert samples[rpcs % ("OK", "GetEntitlement")] == 3
    assert samples[rpcs % ("INVALID_ARGUMENT", "ReportEvents")] == 1
    took = 'local_sidecar_rpc_duration_seconds_count{method="GetEntitlement"}'
    assert samples[took] == 3
    assert samples["process_resident_memory_bytes"] > 1_000_000
    built = [name for name in samples if name.startswith("local_sidecar_build_info")]
    assert f'version="{version("stigg-guard")}"' in built[0]


def test_catalog_that_is_not_served_is_told_and_counted(
    client_of: Client, tmp_path: Path
) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text("features: [{id: f, type: boolean}]\n")
    with LocalSidecar(path, http_port=0) as sidecar:
        client = client_of(sidecar)
        path.write_text("features: [{id: f, type: nothing}]\n")
        with pytest.raises(ConfigurationError):
            sidecar.reload()
        problem = client.get("/local/about").json()["catalog_problem"]
        assert problem.startswith(f"{path}:1: features[0].type: ")
        assert counted(client)["sidecar_initialization_errors_total"] == 1
        path.write_text("features: [{id: f, type: boolean}, {id: g, type: boolean}]\n")
        sidecar.reload()
        assert client.get("/local/about").json()["catalog_problem"] is None
        assert counted(client)["sidecar_initialization_errors_total"] == 1
        told = [dict(item.facts) for item in sidecar.feed.since(0).happenings]
    assert told[0]["state"] == "refused"
    assert (told[-1]["state"], told[-1]["count"]) == ("read", 1)


def test_metrics_of_the_process_are_not_mixed_with_ours(client: httpx.Client) -> None:
    from prometheus_client import REGISTRY, generate_latest

    assert "local_sidecar" not in generate_latest(REGISTRY).decode()
    assert counted(client)["local_sidecar_faults"] == 0


def test_call_that_the_client_gave_up_is_counted_as_cancelled(
    client_of: Client,
) -> None:
    cancelled = 'local_sidecar_rpcs_total{code="CANCELLED",method="GetEntitlement"}'
    with LocalSidecar(http_port=0) as sidecar, sidecar.fault(delay=60):
        client = client_of(sidecar)
        with grpc.insecure_channel(sidecar.target) as channel:
            call = cast("Any", channel).unary_unary(
                "/stigg.sidecar.v1.SidecarService/GetEntitlement"
            )
            with pytest.raises(grpc.RpcError):
                call(b"", timeout=0.2)
        until = time.monotonic() + 10
        while cancelled not in counted(client):
            assert time.monotonic() < until
