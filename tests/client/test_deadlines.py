"""Every call ends: the deadlines, and the turns that calls wait for."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sidecar_client import (
    ConfigurationError,
    ReloadEntitlementsRequest,
    ReportUsageRequest,
    SidecarTimeout,
    SidecarUnavailable,
    Stigg,
    SyncStigg,
)
from tests.client.servers import ALLOWED, QUESTION, Hold, Say, Server, allow

USAGE = ReportUsageRequest(customer_id="c", feature_id="f", value=1)


async def test_reads_and_writes_have_their_default_deadlines() -> None:
    with Server(Say(b"")) as server:
        with SyncStigg(target=server.target) as stigg:
            stigg.get_entitlement(QUESTION, timeout=10)  # connects
            stigg.get_entitlement(QUESTION)
            stigg.report_usage(USAGE)
            stigg.reload_entitlements(ReloadEntitlementsRequest(customer_id="c"))
        async with Stigg(target=server.target) as asynchronous:
            await asynchronous.get_entitlement(QUESTION, timeout=10)
            await asynchronous.get_entitlement(QUESTION)
            await asynchronous.report_usage(USAGE)
            await asynchronous.reload_entitlements(
                ReloadEntitlementsRequest(customer_id="c")
            )
    for index, most in enumerate((10, 0.25, 2.0, 2.0) * 2):
        assert most / 2 < server.left[index] < most + 0.1


async def test_deadlines_are_configurable_and_given_per_call() -> None:
    with Server(Say(b"")) as server:
        with SyncStigg(target=server.target, timeout=5, write_timeout=6) as stigg:
            stigg.get_entitlement(QUESTION)
            stigg.report_usage(USAGE)
            stigg.get_entitlement(QUESTION, timeout=7)
        async with Stigg(
            target=server.target, timeout=5, write_timeout=6
        ) as asynchronous:
            await asynchronous.get_entitlement(QUESTION)
            await asynchronous.report_usage(USAGE)
            await asynchronous.get_entitlement(QUESTION, timeout=7)
    for index, most in enumerate((5.0, 6.0, 7.0) * 2):
        assert most - 1 < server.left[index] < most + 0.1


async def test_a_slow_sidecar_times_out_in_the_deadline() -> None:
    hold = Hold()
    with Server(hold) as server:
        begin = time.monotonic()
        with (
            SyncStigg(target=server.target) as stigg,
            pytest.raises(SidecarTimeout, match=r"no answer within 0\.25 s"),
        ):
            stigg.get_entitlement(QUESTION)
        async with Stigg(target=server.target) as asynchronous:
            with pytest.raises(SidecarTimeout, match=r"no answer within 0\.25 s"):
                await asynchronous.get_entitlement(QUESTION)
        assert 0.5 <= time.monotonic() - begin < 1.5
        hold.let_go()


@pytest.mark.parametrize("timeout", [0, -1, 0.0, -(10**400)])
async def test_no_time_is_a_timeout_even_of_a_quick_sidecar(timeout: float) -> None:
    with Server() as server:
        with (
            SyncStigg(target=server.target, timeout=10) as stigg,
            pytest.raises(SidecarTimeout, match="no time left"),
        ):
            stigg.get_entitlement(QUESTION, timeout=timeout)
        async with Stigg(target=server.target, timeout=10) as asynchronous:
            with pytest.raises(SidecarTimeout, match="no time left"):
                await asynchronous.get_entitlement(QUESTION, timeout=timeout)
        assert server.paths == []


async def test_a_call_may_take_a_day() -> None:
    with Server() as server:
        with SyncStigg(target=server.target, timeout=86_400) as stigg:
            assert stigg.get_entitlement(QUESTION).has_access
        async with Stigg(target=server.target) as asynchronous:
            answer = await asynchronous.get_entitlement(QUESTION, timeout=86_400)
            assert answer.has_access


@pytest.mark.parametrize(
    "timeout", [float("nan"), float("inf"), True, 86_401, 9e9, 10**400]
)
async def test_a_timeout_that_is_no_number_of_seconds_is_refused(
    timeout: float,
) -> None:
    with pytest.raises(ConfigurationError, match=r"timeout is .*; use a number"):
        SyncStigg(target="127.0.0.1:1").get_entitlement(QUESTION, timeout=timeout)
    with pytest.raises(ConfigurationError, match=r"timeout is .*; use a number"):
        await Stigg(target="127.0.0.1:1").get_entitlement(QUESTION, timeout=timeout)


def test_sync_calls_wait_for_a_turn_and_all_get_one() -> None:
    hold = Hold()
    with (
        Server(hold) as server,
        SyncStigg(target=server.target, max_in_flight=3, timeout=10) as stigg,
        ThreadPoolExecutor(12) as pool,
    ):
        calls = [pool.submit(stigg.get_entitlement, QUESTION) for _ in range(12)]
        hold.wait_for(3)
        hold.let_go()
        assert all(call.result().has_access for call in calls)
        assert hold.most == 3


async def test_async_calls_wait_for_a_turn_and_all_get_one() -> None:
    hold = Hold()
    with Server(hold) as server:
        async with Stigg(target=server.target, max_in_flight=3, timeout=10) as stigg:
            async with asyncio.TaskGroup() as group:
                calls = [
                    group.create_task(stigg.get_entitlement(QUESTION))
                    for _ in range(12)
                ]
                await asyncio.to_thread(hold.wait_for, 3)
                hold.let_go()
            assert all(call.result().has_access for call in calls)
    assert hold.most == 3


def test_waiting_for_a_turn_counts_against_a_sync_deadline() -> None:
    hold = Hold()
    with (
        Server(hold) as server,
        SyncStigg(target=server.target, max_in_flight=1, timeout=10) as stigg,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(stigg.get_entitlement, QUESTION)
        hold.wait_for(1)
        with pytest.raises(SidecarTimeout, match=r"1 calls were in flight for 0\.1 s"):
            stigg.get_entitlement(QUESTION, timeout=0.1)
        hold.let_go()
        assert first.result().has_access
        assert stigg.get_entitlement(QUESTION).has_access
        assert len(server.paths) == 2


async def test_waiting_for_a_turn_counts_against_an_async_deadline() -> None:
    hold = Hold()
    with Server(hold) as server:
        async with Stigg(target=server.target, max_in_flight=1, timeout=10) as stigg:
            first = asyncio.create_task(stigg.get_entitlement(QUESTION))
            await asyncio.to_thread(hold.wait_for, 1)
            with pytest.raises(SidecarTimeout, match="1 calls were in flight for"):
                await stigg.get_entitlement(QUESTION, timeout=0.1)
            hold.let_go()
            assert (await first).has_access
            assert (await stigg.get_entitlement(QUESTION)).has_access
    assert len(server.paths) == 2


def test_a_turn_that_comes_late_leaves_only_the_rest_of_a_sync_deadline() -> None:
    hold = Hold()
    with (
        Server(hold) as server,
        SyncStigg(target=server.target, max_in_flight=1, timeout=9) as stigg,
        ThreadPoolExecutor(2) as pool,
    ):
        first = pool.submit(stigg.get_entitlement, QUESTION)
        hold.wait_for(1)
        second = pool.submit(stigg.get_entitlement, QUESTION, timeout=3)
        with pytest.raises(TimeoutError):
            second.result(0.2)
        hold.let_go()
        assert first.result().has_access
        assert second.result().has_access
    assert server.left[1] <= 2.9


async def test_a_turn_that_comes_late_leaves_only_the_rest_of_the_deadline() -> None:
    hold = Hold()
    with Server(hold) as server:
        async with Stigg(target=server.target, max_in_flight=1, timeout=9) as stigg:
            first = asyncio.create_task(stigg.get_entitlement(QUESTION))
            await asyncio.to_thread(hold.wait_for, 1)
            second = asyncio.create_task(stigg.get_entitlement(QUESTION, timeout=3))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(second), 0.2)
            hold.let_go()
            await asyncio.gather(first, second)
    assert server.left[1] <= 2.9


async def test_cancelling_the_caller_cancels_the_call_and_frees_its_turn() -> None:
    hold = Hold()
    with Server(hold) as server:
        async with Stigg(target=server.target, max_in_flight=1, timeout=10) as stigg:
            call = asyncio.create_task(stigg.get_entitlement(QUESTION))
            await asyncio.to_thread(hold.wait_for, 1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            server.answer = allow
            hold.let_go()
            assert (await stigg.get_entitlement(QUESTION)).has_access


async def test_cancelling_a_waiting_caller_takes_no_turn() -> None:
    hold = Hold()
    with Server(hold) as server:
        async with Stigg(target=server.target, max_in_flight=1, timeout=10) as stigg:
            first = asyncio.create_task(stigg.get_entitlement(QUESTION))
            await asyncio.to_thread(hold.wait_for, 1)
            waiting = asyncio.create_task(stigg.get_entitlement(QUESTION))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            hold.let_go()
            await first
            assert (await stigg.get_entitlement(QUESTION)).has_access
    assert len(server.paths) == 2


async def test_a_fan_out_beyond_the_servers_streams_fails_no_call() -> None:
    streams = (("grpc.max_concurrent_streams", 100),)
    with Server(Say(ALLOWED), options=streams) as server:
        async with Stigg(target=server.target, timeout=20) as stigg:
            answers = await asyncio.gather(
                *(stigg.get_entitlement(QUESTION) for _ in range(600))
            )
    assert len(answers) == 600


async def test_closing_ends_the_calls_in_flight_as_unavailable() -> None:
    hold = Hold()
    with Server(hold) as server:
        stigg = Stigg(target=server.target, timeout=10)
        call = asyncio.create_task(stigg.get_entitlement(QUESTION))
        await asyncio.to_thread(hold.wait_for, 1)
        await stigg.aclose()
        with pytest.raises(SidecarUnavailable, match="the client was closed"):
            await call
        synchronous = SyncStigg(target=server.target, timeout=10)
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(synchronous.get_entitlement, QUESTION)
            await asyncio.to_thread(hold.wait_for, 2)
            synchronous.close()
            with pytest.raises(SidecarUnavailable):
                ended.result()
        hold.let_go()


async def test_a_closed_client_opens_anew_on_the_next_call() -> None:
    with Server() as server:
        synchronous, stigg = (
            SyncStigg(target=server.target, timeout=10),
            Stigg(target=server.target, timeout=10),
        )
        for _ in range(2):
            assert synchronous.get_entitlement(QUESTION).has_access
            synchronous.close()
            synchronous.close()
            assert (await stigg.get_entitlement(QUESTION)).has_access
            await stigg.aclose()
            await stigg.aclose()
            assert (await stigg.get_entitlement(QUESTION)).has_access
            stigg.close()


def test_an_unused_client_closes_and_works_without_a_loop() -> None:
    Stigg(target="127.0.0.1:1").close()
    SyncStigg(target="127.0.0.1:1").close()
