"""A local sidecar that cannot be had: how long calls wait, and what they are told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sidecar_client import (
    ConfigurationError,
    SidecarError,
    SidecarUnavailable,
    Stigg,
    SyncStigg,
    child,
    launch,
)
from sidecar_client.lease import Lease
from sidecar_client.options import LocalSidecarOptions
from tests.client.test_local_child import TEMPLATES, eventually, port, sidecars, usage

__all__ = ["port"]  # the fixture


class Tries:
    """Counts how often a sidecar is looked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr(child, "attach", self._attach)

    def _attach(self, options: LocalSidecarOptions) -> Lease:
        self.count += 1
        return launch.attach(options)


class NoThreads(ThreadPoolExecutor):
    """A loop's executor that nothing may use."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise AssertionError("a call took a thread of the application")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the control sockets."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = tmp_path / f"stigg-guard-{os.getuid()}"
    directory.mkdir(mode=0o700)
    return directory


def kill(pid: int, port: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: pid not in sidecars(port), "it was not killed")


def notices_the_end(stigg: SyncStigg) -> bool:
    """Ask; tell whether the client has seen that its sidecar ended."""
    return "the local sidecar ended" in refusal(stigg)


async def until_its_end_is_seen(stigg: Stigg) -> None:
    give_up = time.monotonic() + 10
    while True:
        try:
            await stigg.get_metered_entitlement(TEMPLATES, timeout=0.02)
        except SidecarError as error:
            if "the local sidecar ended" in str(error):
                return
        assert time.monotonic() < give_up, "its end is not seen"


def refusal(stigg: SyncStigg) -> str:
    try:
        stigg.get_metered_entitlement(TEMPLATES, timeout=0.05)
    except (SidecarError, ConfigurationError) as error:
        return str(error)
    return ""


async def test_a_storm_of_calls_beside_a_revival_keeps_its_deadlines(
    port: int, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "START_WAIT", 4)
    asyncio.get_running_loop().set_default_executor(NoThreads())
    stigg = Stigg(local_sidecar_port=port)
    assert (await stigg.get_metered_entitlement(TEMPLATES, timeout=10)).has_access
    with socket.socket(socket.AF_UNIX) as silent:
        # Something takes the connection, and never says what it is.
        control = place / f"{port}.sock"
        (pid,) = sidecars(port)
        kill(pid, port)
        control.unlink()
        silent.bind(str(control))
        silent.listen()
        await until_its_end_is_seen(stigg)
        threads = threading.active_count()
        begin = time.monotonic()
        calls = [stigg.get_metered_entitlement(TEMPLATES) for _ in range(200)]
        asking = asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0.1)
        more = threading.active_count() - threads
        answers = await asking
        assert time.monotonic() - begin < 1.5
        assert {type(answer) for answer in answers} == {SidecarUnavailable}
        # gRPC may start some of its own.
        assert more < 10
    await stigg.aclose()


async def test_async_calls_go_on_when_the_sidecar_is_back(port: int) -> None:
    stigg = Stigg(local_sidecar_port=port)
    assert (await stigg.get_metered_entitlement(TEMPLATES, timeout=10)).has_access
    (pid,) = sidecars(port)
    kill(pid, port)
    await until_its_end_is_seen(stigg)
    begin = time.monotonic()
    calls = [stigg.get_metered_entitlement(TEMPLATES, timeout=30) for _ in range(20)]
    told = await asyncio.gather(*calls, return_exceptions=True)
    assert time.monotonic() - begin < 15
    # Its channel may still be down; but none waited for the sidecar in vain.
    assert not [error for error in told if "the local sidecar ended" in str(error)]
    await stigg.aclose()


async def test_concurrent_first_calls_share_one_start(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = Tries(monkeypatch)
    asyncio.get_running_loop().set_default_executor(NoThreads())
    stigg = Stigg(local_sidecar_port=port)
    calls = [stigg.get_metered_entitlement(TEMPLATES) for _ in range(50)]
    assert all(answer.has_access for answer in await asyncio.gather(*calls))
    assert tries.count == 1
    await stigg.aclose()


async def test_a_cancelled_first_call_leaves_the_start_to_the_others(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = Tries(monkeypatch)
    stigg = Stigg(local_sidecar_port=port)
    cancelled = asyncio.create_task(stigg.get_metered_entitlement(TEMPLATES))
    other = asyncio.create_task(stigg.get_metered_entitlement(TEMPLATES))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert (await other).has_access
    assert tries.count == 1
    await stigg.aclose()


def test_a_loop_that_is_closed_amid_a_start_disturbs_nobody(port: int) -> None:
    stigg = Stigg(local_sidecar_port=port)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await stigg.get_metered_entitlement(TEMPLATES)

    async def stay() -> bool:
        async with stigg:
            return (await stigg.get_metered_entitlement(TEMPLATES)).has_access

    asyncio.run(leave())
    assert asyncio.run(stay())


def test_a_client_closed_during_a_revival_leaves_no_sidecar(port: int) -> None:
    with SyncStigg(local_sidecar_port=port) as stigg:
        assert usage(stigg) == 3
        (pid,) = sidecars(port)
        kill(pid, port)
        eventually(lambda: notices_the_end(stigg), "its end is not seen")
        eventually(lambda: bool(sidecars(port)), "no other one is started")
    eventually(lambda: not sidecars(port), "the other one is left")


def test_a_client_closed_during_the_first_start_lets_its_call_go(port: int) -> None:
    stigg = SyncStigg(local_sidecar_port=port)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(stigg.get_metered_entitlement, TEMPLATES)
        eventually(lambda: bool(sidecars(port)), "none is started")
        stigg.close()
        with pytest.raises(SidecarUnavailable) as raised:
            asking.result(5)
    assert "the client was closed during the call" in str(raised.value)
    assert raised.value.code == "CANCELLED"
    eventually(lambda: not sidecars(port), "it is left")


async def test_a_start_that_failed_is_told_to_all_before_it_is_tried_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = Tries(monkeypatch)
    stigg = Stigg(local_sidecar_port=port)
    with socket.create_server(("127.0.0.1", port)):
        calls = [stigg.get_metered_entitlement(TEMPLATES) for _ in range(20)]
        told = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(error) for error in told} == {ConfigurationError}
        assert len({str(error) for error in told}) == 1
        begin = time.monotonic()
        for _ in range(100):
            with pytest.raises(ConfigurationError, match="is taken"):
                await stigg.get_metered_entitlement(TEMPLATES)
        assert time.monotonic() - begin < 1
        assert tries.count == 1
    give_up = time.monotonic() + 10
    while True:
        try:
            assert (await stigg.get_metered_entitlement(TEMPLATES)).has_access
            break
        except ConfigurationError:
            assert time.monotonic() < give_up, "it is not tried again"
            await asyncio.sleep(0.02)
    assert tries.count == 2
    await stigg.aclose()


@pytest.mark.parametrize("trouble", ["no directory", "a file", "no lock"])
def test_a_place_that_cannot_be_used_is_named_with_the_cure(
    trouble: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "given"
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    named = directory / f"stigg-guard-{os.getuid()}"
    if trouble == "a file":
        directory.touch()
    elif trouble == "no lock":
        directory.mkdir()
        named.mkdir(mode=0o700)
        named = named / f"{port}.lock"
        named.mkdir()
    with pytest.raises(ConfigurationError) as raised:
        usage(SyncStigg(local_sidecar_port=port))
    assert str(raised.value).startswith(f"{named} cannot be used for the local sidecar")
    assert "set TMPDIR to a directory in which this user may write" in str(raised.value)


def test_a_machine_without_a_place_for_files_is_told_so(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(ConfigurationError, match=r"\['/tmp'\]; set TMPDIR"):
        usage(SyncStigg(local_sidecar_port=port))


def test_a_place_too_deep_for_a_socket_is_named_with_the_cure(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(ConfigurationError, match="set TMPDIR to a shorter directory"):
        usage(SyncStigg(local_sidecar_port=port))


def test_a_python_that_cannot_be_run_is_named(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", f"{tmp_path}/python3")
    with pytest.raises(ConfigurationError) as raised:
        usage(SyncStigg(local_sidecar_port=port))
    assert f"running {tmp_path}/python3 failed (No such file" in str(raised.value)
    assert "`stigg-guard sidecar run`" in str(raised.value)


def test_a_revival_without_a_place_ends_with_that_cause(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SyncStigg(local_sidecar_port=port) as stigg:
        assert usage(stigg) == 3
        (pid,) = sidecars(port)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        kill(pid, port)
        eventually(lambda: "set TMPDIR" in refusal(stigg), "the cause is not told")
        begin = time.monotonic()
        with pytest.raises(SidecarUnavailable, match="cannot be used"):
            stigg.get_metered_entitlement(TEMPLATES, timeout=8)
        assert time.monotonic() - begin < 4


def test_an_error_of_the_system_elsewhere_ends_the_start_too(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more_files(_: LocalSidecarOptions) -> Lease:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(child, "attach", no_more_files)
    with pytest.raises(ConfigurationError, match=r"reached: .*Too many open files"):
        usage(SyncStigg(local_sidecar_port=port))


def test_a_process_without_threads_to_spare_is_told_so(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    with pytest.raises(ConfigurationError, match="needs a thread: can't start"):
        usage(SyncStigg(local_sidecar_port=port))


def test_a_taken_port_is_told_in_the_clients_words(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        message = refusal(SyncStigg(local_sidecar_port=port))
    assert "choose another port with local_sidecar_port" in message
    assert "--port" not in message


def test_a_control_socket_that_cannot_be_made_is_told_in_the_clients_words(
    port: int, place: Path
) -> None:
    (place / f"{port}.sock").touch()
    message = refusal(SyncStigg(local_sidecar_port=port))
    assert "by setting TMPDIR" in message
    assert "--control-socket" not in message


def test_a_sidecar_that_is_stopped_is_named_by_its_pid(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SyncStigg(local_sidecar_port=port) as stigg:
        assert usage(stigg) == 3
        (pid,) = sidecars(port)
        os.kill(pid, signal.SIGSTOP)
        monkeypatch.setattr(launch, "START_WAIT", 0.5)
        message = refusal(SyncStigg(local_sidecar_port=port))
        os.kill(pid, signal.SIGCONT)
    assert f"the running one (pid {pid}) did not answer within 0.5 s" in message
    assert f"`kill -9 {pid}`, or use another local_sidecar_port" in message


def test_a_sidecar_that_is_too_slow_is_not_blamed_for_being_killed(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "START_WAIT", 0.05)
    message = refusal(SyncStigg(local_sidecar_port=port))
    assert "did not answer within 0.05 s, so it was ended" in message
    assert "it said: nothing" in message
    assert "status" not in message
