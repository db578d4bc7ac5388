"""A sidecar that goes and comes back, and the ways it is reached."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from sidecar_client import (
    ReportUsageRequest,
    SidecarUnavailable,
    Stigg,
    SyncStigg,
)
from sidecar_client.grpc_channel import channel_options
from sidecar_client.methods import METHODS
from tests.client.certificates import Certificate
from tests.client.servers import ALLOWED, QUESTION, Server

NOTICED = 0.5
"""Seconds in which a sidecar that listens again must be seen."""
SLACK = 0.5
"""What a loaded machine may add; gRPC's own back-off would take seconds more."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_a_restarted_sidecar_is_seen_in_half_a_second() -> None:
    address = f"127.0.0.1:{free_port()}"
    stigg = Stigg(target=address, timeout=10)
    synchronous = SyncStigg(target=address, timeout=10)
    with Server(address=address):
        assert synchronous.get_entitlement(QUESTION).has_access
        assert (await stigg.get_entitlement(QUESTION)).has_access
    # Long enough that a back-off which grows would have grown.
    down_until = time.monotonic() + 3
    while time.monotonic() < down_until:
        with pytest.raises(SidecarUnavailable):
            synchronous.get_entitlement(QUESTION)
        with pytest.raises(SidecarUnavailable):
            await stigg.get_entitlement(QUESTION)
    with Server(address=address):
        listening = time.monotonic()
        assert _until_answered(synchronous) - listening < NOTICED + SLACK
        while True:
            try:
                await stigg.get_entitlement(QUESTION)
            except SidecarUnavailable:
                assert time.monotonic() - listening < 10
            else:
                break
        assert time.monotonic() - listening < NOTICED + SLACK
    synchronous.close()
    await stigg.aclose()


def _until_answered(stigg: SyncStigg) -> float:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        try:
            stigg.get_entitlement(QUESTION)
        except SidecarUnavailable:
            continue
        return time.monotonic()
    raise AssertionError("the sidecar was not seen in 10 s")


@contextmanager
def sidecar_process(port: int) -> Generator[subprocess.Popen[str]]:
    """Serve from a process of its own, which a test may kill."""
    command = [sys.executable, "-m", "tests.client.serve", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_sidecar_is_unavailable_at_once_and_back_when_it_is_back() -> None:
    port = free_port()
    with SyncStigg(target=f"127.0.0.1:{port}", timeout=10) as stigg:
        with sidecar_process(port) as process:
            assert stigg.get_entitlement(QUESTION).has_access
            process.kill()
            process.wait()
            begin = time.monotonic()
            with pytest.raises(SidecarUnavailable):
                stigg.get_entitlement(QUESTION)
            assert time.monotonic() - begin < NOTICED + SLACK
        with sidecar_process(port):
            listening = time.monotonic()
            assert _until_answered(stigg) - listening < NOTICED + SLACK


class FailsOnce:
    """Answers the first call of each path with UNAVAILABLE."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls += 1
        if self.calls == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return ALLOWED


async def test_a_read_is_retried_within_its_deadline() -> None:
    with Server(FailsOnce()) as server, SyncStigg(target=server.target) as stigg:
        assert stigg.get_entitlement(QUESTION, timeout=10).has_access
        assert len(server.requests) == 2
    with Server(FailsOnce()) as server:
        async with Stigg(target=server.target) as asynchronous:
            answer = await asynchronous.get_entitlement(QUESTION, timeout=10)
            assert answer.has_access
        assert len(server.requests) == 2


async def test_a_report_is_never_retried() -> None:
    usage = ReportUsageRequest(customer_id="c", feature_id="f", value=1)
    with Server(FailsOnce()) as server, SyncStigg(target=server.target) as stigg:
        with pytest.raises(SidecarUnavailable, match="not now"):
            stigg.report_usage(usage, timeout=10)
        assert len(server.requests) == 1
    with Server(FailsOnce()) as server:
        async with Stigg(target=server.target) as asynchronous:
            with pytest.raises(SidecarUnavailable, match="not now"):
                await asynchronous.report_usage(usage, timeout=10)
        assert len(server.requests) == 1


def test_the_options_notice_dead_peers_without_too_many_pings() -> None:
    options = dict(channel_options(round_robin=False))
    # These make gRPC set TCP_USER_TIMEOUT to a second; a network that drops packets
    # would be needed to see it.
    assert options["grpc.keepalive_timeout_ms"] == 1000
    # Less, or without calls, is answered by GOAWAY "too_many_pings".
    assert options["grpc.keepalive_time_ms"] >= 30_000
    assert options["grpc.keepalive_permit_without_calls"] == 0
    # It is the time to connect, too: less is too short for a remote host.
    assert options["grpc.min_reconnect_backoff_ms"] == 250


def test_every_read_and_no_report_has_the_retry_policy() -> None:
    config = json.loads(dict(channel_options(round_robin=False))["grpc.service_config"])
    (policy,) = config["methodConfig"]
    assert {name["method"] for name in policy["name"]} == {
        method.name for method in METHODS if method.is_read
    }
    assert "loadBalancingConfig" not in config


async def test_a_unix_socket_is_a_target(tmp_path: Path) -> None:
    with Server(address=f"unix:{tmp_path}/sidecar.sock") as server:
        with SyncStigg(target=server.target, timeout=10) as stigg:
            assert stigg.get_entitlement(QUESTION).has_access
        async with Stigg(target=server.target, timeout=10) as asynchronous:
            assert (await asynchronous.get_entitlement(QUESTION)).has_access


async def test_a_dns_target_is_resolved_and_balanced_round_robin() -> None:
    with Server() as server:
        target = f"dns:///localhost:{server.target.rpartition(':')[2]}"
        with SyncStigg(target=target, timeout=10) as stigg:
            assert stigg.get_entitlement(QUESTION).has_access
        async with Stigg(target=target, timeout=10) as asynchronous:
            assert (await asynchronous.get_entitlement(QUESTION)).has_access
    config = json.loads(dict(channel_options(round_robin=True))["grpc.service_config"])
    assert config["loadBalancingConfig"] == [{"round_robin": {}}]


@pytest.mark.parametrize("variable", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_a_proxy_in_the_environment_is_not_used(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setitem(os.environ, variable, proxy)
        with Server() as server, SyncStigg(target=server.target, timeout=10) as stigg:
            assert stigg.get_entitlement(QUESTION).has_access


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate.named("localhost")


async def test_tls_with_a_given_root(certificate: Certificate) -> None:
    with Server(credentials=certificate.server) as server:
        roots = certificate.pem
        with SyncStigg(
            target=server.target, timeout=10, root_certificates=roots
        ) as stigg:
            assert stigg.get_entitlement(QUESTION).has_access
        async with Stigg(
            target=server.target, timeout=10, root_certificates=roots
        ) as asynchronous:
            assert (await asynchronous.get_entitlement(QUESTION)).has_access


async def _causes(target: str, roots: bytes) -> list[str]:
    causes: list[str] = []
    with (
        SyncStigg(target=target, root_certificates=roots) as stigg,
        pytest.raises(SidecarUnavailable) as raised,
    ):
        stigg.get_entitlement(QUESTION, timeout=10)
    causes.append(raised.value.cause)
    async with Stigg(target=target, root_certificates=roots) as asynchronous:
        with pytest.raises(SidecarUnavailable) as raised:
            await asynchronous.get_entitlement(QUESTION, timeout=10)
    return [*causes, raised.value.cause]


async def test_another_authority_is_named(
    certificate: Certificate,
) -> None:
    other = Certificate.named("other")
    with Server(credentials=certificate.server) as server:
        for cause in await _causes(server.target, other.pem):
            assert "its certificate is not signed by root_certificates" in cause


async def test_a_certificate_for_another_name_is_named() -> None:
    other = Certificate.named("elsewhere")
    with Server(credentials=other.server) as server:
        for cause in await _causes(server.target, other.pem):
            assert "its certificate is for another name" in cause


async def test_tls_to_a_plain_sidecar_is_named(
    certificate: Certificate,
) -> None:
    with Server() as server:
        for cause in await _causes(server.target, certificate.pem):
            assert "does not speak TLS; leave out root_certificates" in cause


def test_plain_to_a_tls_sidecar_says_what_to_pass(certificate: Certificate) -> None:
    with (
        Server(credentials=certificate.server) as server,
        SyncStigg(target=server.target, timeout=10) as stigg,
        pytest.raises(SidecarUnavailable, match="pass root_certificates"),
    ):
        stigg.get_entitlement(QUESTION)
