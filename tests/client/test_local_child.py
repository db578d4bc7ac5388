"""The local sidecar as a child process, as applications start it and share it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from sidecar_client import (
    ConfigurationError,
    GetMeteredEntitlementRequest,
    LocalSidecarConfig,
    ReportUsageRequest,
    SidecarError,
    SidecarTimeout,
    SidecarUnavailable,
    Stigg,
    SyncStigg,
    launch,
)
from tests.client.test_recovery import free_port

TEMPLATES = GetMeteredEntitlementRequest(
    customer_id="customer-demo-01",
    resource_id="site-01",
    feature_id="feature-01-templates",
)
TWO_MORE = ReportUsageRequest(
    customer_id="customer-demo-01",
    resource_id="site-01",
    feature_id="feature-01-templates",
    value=2,
)


@pytest.fixture
def port() -> Iterator[int]:
    """A port for one local sidecar, which is gone after the test."""
    chosen = free_port()
    yield chosen
    eventually(lambda: not sidecars(chosen), f"a sidecar is left on {chosen}")


def eventually(holds: Callable[[], bool], otherwise: str) -> None:
    give_up = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < give_up, otherwise
        time.sleep(0.02)


def sidecars(port: int) -> list[int]:
    """Return the pids of the local sidecars for this port."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if "sidecar_client.local" in command and str(port) in command:
            found.append(process.pid)
    return found


def usage(stigg: SyncStigg) -> float:
    return stigg.get_metered_entitlement(
        TEMPLATES, timeout=10
    ).entitlement.current_usage


async def test_both_clients_share_one_sidecar_until_the_last_leaves(port: int) -> None:
    synchronous = SyncStigg(local_sidecar_port=port)
    stigg = Stigg(local_sidecar_port=port)
    synchronous.report_usage(TWO_MORE, timeout=10)
    answer = await stigg.get_metered_entitlement(TEMPLATES, timeout=10)
    assert answer.entitlement.current_usage == 5
    assert len(sidecars(port)) == 1
    synchronous.close()
    answer = await stigg.get_metered_entitlement(TEMPLATES, timeout=10)
    assert answer.has_access
    await stigg.aclose()


async def test_callers_that_race_start_one_sidecar(port: int) -> None:
    clients = [SyncStigg(local_sidecar_port=port) for _ in range(4)]
    stigg = Stigg(local_sidecar_port=port)
    with ThreadPoolExecutor(8) as pool:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(pool, usage, client) for client in clients * 2]
        asking = [stigg.get_metered_entitlement(TEMPLATES, timeout=10) for _ in "ab"]
        assert await asyncio.gather(*calls) == [3] * 8
        assert all(answer.has_access for answer in await asyncio.gather(*asking))
    assert len(sidecars(port)) == 1
    for client in clients:
        client.close()
    stigg.close()


def test_starting_is_not_counted_against_the_deadline(port: int) -> None:
    with SyncStigg(local_sidecar_port=port, timeout=0.25) as stigg:
        # Starting an interpreter alone takes longer than the read's quarter second.
        begin = time.monotonic()
        assert stigg.get_metered_entitlement(TEMPLATES).has_access
        assert time.monotonic() - begin > 0.1


def test_a_sidecar_that_died_is_started_again(port: int) -> None:
    with SyncStigg(local_sidecar_port=port) as stigg:
        assert usage(stigg) == 3
        (pid,) = sidecars(port)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: pid not in sidecars(port), "it was not killed")
        eventually(lambda: _answers(stigg), "it was not started again")
        assert sidecars(port) != [pid]


async def test_a_sidecar_that_cannot_come_back_costs_no_call_its_deadline(
    port: int,
) -> None:
    with SyncStigg(local_sidecar_port=port) as stigg, socket.socket() as taker:
        asynchronous = Stigg(local_sidecar_port=port)
        assert usage(stigg) == 3
        await asynchronous.get_metered_entitlement(TEMPLATES, timeout=10)
        (pid,) = sidecars(port)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: pid not in sidecars(port), "it was not killed")
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        eventually(lambda: _took(taker, port), "its port was not let go")
        begin = time.monotonic()
        with pytest.raises((SidecarUnavailable, SidecarTimeout)):
            stigg.get_metered_entitlement(TEMPLATES, timeout=0.3)
        with pytest.raises((SidecarUnavailable, SidecarTimeout)):
            await asynchronous.get_metered_entitlement(TEMPLATES, timeout=0.3)
        assert time.monotonic() - begin < 2
        eventually(lambda: "is taken" in _refusal(stigg), "the cause is not told")
        taker.close()
        eventually(lambda: _answers(stigg), "it was not started again")
        await asynchronous.aclose()


def _took(taker: socket.socket, port: int) -> bool:
    try:
        taker.bind(("127.0.0.1", port))
    except OSError:
        return False
    taker.listen()
    return True


def _refusal(stigg: SyncStigg) -> str:
    try:
        stigg.get_metered_entitlement(TEMPLATES, timeout=0.3)
    except SidecarError as error:
        return str(error)
    return ""


def _answers(stigg: SyncStigg) -> bool:
    try:
        return usage(stigg) == 3
    except ConfigurationError:
        raise
    except Exception:
        # The end of the old one may still be unnoticed.
        return False


def test_the_sidecar_dies_with_a_parent_that_is_killed(port: int) -> None:
    command = [sys.executable, "-m", "tests.client.scripts.worker", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "asked\n"
        assert len(sidecars(port)) == 1
        parent.kill()


def test_forked_workers_share_the_sidecar_and_outlive_the_one_that_started_it(
    port: int,
) -> None:
    command = [sys.executable, "-m", "tests.client.scripts.worker", str(port), "fork"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["asked", "child asked", "child asked again"]


def test_a_forked_child_that_never_asks_does_not_keep_the_sidecar(port: int) -> None:
    command = [sys.executable, "-m", "tests.client.scripts.worker"]
    with subprocess.Popen(
        [*command, str(port), "idle-child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as parent:
        assert parent.wait(60) == 0
        eventually(lambda: not sidecars(port), "a child without a lease keeps it")


def test_its_log_lines_reach_the_parents_logger(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "sidecar_client.local"),
        SyncStigg(local_sidecar_port=port) as stigg,
    ):
        usage(stigg)
        eventually(
            lambda: f"127.0.0.1:{port}" in caplog.text, "no line of the sidecar's log"
        )
    assert {record.name for record in caplog.records} == {"sidecar_client.local"}


def test_another_catalog_on_the_same_port_is_refused(port: int, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.yaml"
    with SyncStigg(local_sidecar_port=port) as stigg:
        usage(stigg)
        other = SyncStigg(local_sidecar_port=port, local_sidecar_catalog=catalog)
        with pytest.raises(ConfigurationError) as raised:
            usage(other)
        assert f"serves the catalog 'demo', not '{catalog}'" in str(raised.value)
        assert "another local_sidecar_port" in str(raised.value)
        assert usage(stigg) == 3


def test_a_taken_port_is_an_error_that_says_by_what(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(ConfigurationError) as raised:
            usage(SyncStigg(local_sidecar_port=port))
        message = str(raised.value)
        assert f"the local sidecar on 127.0.0.1:{port} did not start" in message
        assert f"taken by process {os.getpid()}" in message


async def test_a_catalog_that_is_none_is_an_error_with_its_line(
    port: int, tmp_path: Path
) -> None:
    catalog = tmp_path / "broken.yaml"
    catalog.write_text("features:\n  - id: [\n")
    told = f"did not start: {catalog}:3:1: is not YAML"
    with pytest.raises(ConfigurationError) as raised:
        usage(SyncStigg(local_sidecar_port=port, local_sidecar_catalog=catalog))
    assert told in str(raised.value)
    stigg = Stigg(local_sidecar_port=port, local_sidecar_catalog=catalog)
    with pytest.raises(ConfigurationError) as raised:
        await stigg.get_metered_entitlement(TEMPLATES)
    assert told in str(raised.value)


def test_a_sidecar_that_does_not_serve_in_time_is_an_error(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "START_WAIT", 0.05)
    with pytest.raises(ConfigurationError, match=r"did not answer within 0\.05 s"):
        usage(SyncStigg(local_sidecar_port=port))


def test_a_control_directory_that_others_may_enter_is_refused(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.joinpath(f"stigg-guard-{os.getuid()}").mkdir(mode=0o777)
    tmp_path.joinpath(f"stigg-guard-{os.getuid()}").chmod(0o777)
    with pytest.raises(ConfigurationError, match="not a directory of this user alone"):
        usage(SyncStigg(local_sidecar_port=port))


def test_fields_without_use_are_named_in_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = LocalSidecarConfig(cache_max_size_bytes=1, ws_enabled=True, ws_url="w")
    SyncStigg(local_sidecar_config=config)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "has no use for ws_enabled, ws_url; ignored" in record.getMessage()
    caplog.clear()
    Stigg(local_sidecar_config=LocalSidecarConfig())
    assert not caplog.records
