"""Whom an override reaches: threads, tasks, pools and servers, several at once."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from stigg_guard import Guard, Subject
from stigg_guard.testing import (
    OverrideError,
    metered,
    override_entitlements,
    recorded_usage,
    unavailable_sidecar,
)

NOWHERE = "127.0.0.1:1"
ALICE = Subject("alice")
GUARD = Guard(target=NOWHERE, timeout=0.2, on_unavailable="deny", last_known_for=0)


def asks(feature_id: str = "it") -> str:
    """What the guard decides where this is called: yes, no, or that it is alone."""
    decision = GUARD.check(ALICE, feature_id)
    if decision.source == "policy":
        return "alone"
    return "yes" if decision.allowed else "no"


async def aasks(feature_id: str = "it") -> str:
    decision = await GUARD.aio.check(ALICE, feature_id)
    return "yes" if decision.allowed else "no"


def in_a_thread(function: Callable[[], str]) -> str:
    """What a thread of its own, which got no context, finds."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_thread_without_a_context_is_under_the_only_override() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(asks).result() == "alone"
        with override_entitlements({"it": True}):
            assert pool.submit(asks).result() == "yes"
            with override_entitlements({"it": False}):
                assert pool.submit(asks).result() == "no"
            assert pool.submit(asks).result() == "yes"
        assert pool.submit(asks).result() == "alone"


async def test_threads_of_asyncio_and_asgiref_are_reached() -> None:
    with override_entitlements({"it": True}):
        assert await asyncio.to_thread(asks) == "yes"
        assert await sync_to_async(asks)() == "yes"
        assert await sync_to_async(asks, thread_sensitive=False)() == "yes"
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, asks) == "yes"
        assert await sync_to_async(async_to_sync(aasks))() == "yes"


async def test_tasks_have_different_overrides_at_once() -> None:
    both_are_in = asyncio.Barrier(3)

    async def under(value: bool) -> tuple[str, str]:
        async with override_entitlements({"it": value}):
            await both_are_in.wait()
            found = await aasks(), await asyncio.to_thread(asks)
            await both_are_in.wait()
            return found

    async def under_the_outer_one() -> str:
        await both_are_in.wait()
        found = await aasks("outer")
        with pytest.raises(OverrideError, match='"it"'):
            await aasks("it")
        await both_are_in.wait()
        return found

    with pytest.raises(OverrideError):  # told again of the one question in vain
        async with override_entitlements({"outer": True}):
            found = await asyncio.gather(
                under(True), under(False), under_the_outer_one()
            )
            assert found[0] == ("yes", "yes")
            assert found[1] == ("no", "no")
            assert found[2] == "yes"


def test_threads_have_different_overrides_at_once() -> None:
    both_are_in = threading.Barrier(2, timeout=10)

    def under(value: bool) -> str:
        with override_entitlements({"it": value}):
            both_are_in.wait()
            found = asks()
            both_are_in.wait()
            return found

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(under, [True, False])) == ["yes", "no"]


def test_thread_that_none_of_several_reaches_is_told_what_to_do() -> None:
    entered, done = threading.Barrier(2, timeout=10), threading.Event()

    def other() -> None:
        with pytest.raises(OverrideError, match="active at once"):
            with override_entitlements({"b": True}):
                entered.wait()
                done.wait(10)

    with ThreadPoolExecutor(1) as pool, pytest.raises(OverrideError) as failed:
        with override_entitlements({"it": True}):
            waiting = pool.submit(other)
            entered.wait()
            try:
                with pytest.raises(OverrideError, match=r'"b"; "it".*copy_context'):
                    in_a_thread(asks)
                copied = contextvars.copy_context()
                assert in_a_thread(lambda: copied.run(asks)) == "yes"
                assert asks() == "yes"
            finally:
                done.set()
                waiting.result()
    assert "active at once" in str(failed.value)


def test_outage_of_one_thread_is_not_that_of_another() -> None:
    both_are_in = threading.Barrier(2, timeout=10)

    def up() -> str:
        with override_entitlements({"it": True}):
            both_are_in.wait()
            found = asks()
            both_are_in.wait()
            return found

    def down() -> str:
        with override_entitlements({"it": True}), unavailable_sidecar():
            both_are_in.wait()
            found = asks()
            both_are_in.wait()
            return found

    with ThreadPoolExecutor(2) as pool:
        both = pool.submit(up), pool.submit(down)
        assert [each.result() for each in both] == ["yes", "alone"]


def test_recorder_of_one_thread_does_not_see_usage_of_another() -> None:
    both_are_in = threading.Barrier(2, timeout=10)

    def use(units: float) -> list[float]:
        given = override_entitlements({"it": metered()})
        with given, recorded_usage() as recorded:
            both_are_in.wait()
            GUARD.report(ALICE, "it", units)
            both_are_in.wait()
            return [each.value for each in recorded.measurements]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(use, [1, 2])) == [[1], [2]]


async def test_task_that_outlives_its_override_is_under_none() -> None:
    go = asyncio.Event()

    async def late() -> str:
        await go.wait()
        return asks()

    with override_entitlements({"it": True}):
        task = asyncio.create_task(late())
        await asyncio.sleep(0)
    go.set()
    assert await task == "alone"


async def test_task_that_outlives_the_inner_override_is_under_the_outer_one() -> None:
    go = asyncio.Event()

    async def late() -> str:
        await go.wait()
        return asks()

    with override_entitlements({"it": True}):
        with override_entitlements({"it": False}):
            task = asyncio.create_task(late())
            await asyncio.sleep(0)
        go.set()
        assert await task == "yes"


async def test_override_may_end_in_another_context_than_it_began_in() -> None:
    override = override_entitlements({"it": True})

    async def begin() -> None:
        override.__enter__()

    await asyncio.create_task(begin())
    assert await aasks() == "yes"
    override.__exit__(None, None, None)
    assert asks() == "alone"


def test_overrides_may_end_in_any_order() -> None:
    outer, inner = override_entitlements({"it": True}), override_entitlements({})
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    with pytest.raises(OverrideError):
        asks()
    with pytest.raises(OverrideError):
        inner.__exit__(None, None, None)
    assert asks() == "alone"


def test_many_threads_count_usage_truly() -> None:
    def use(_: object) -> Any:
        return GUARD.report(ALICE, "it")

    with override_entitlements({"it": metered()}) as given:
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(use, range(200))) == {"acknowledged"}
        assert given.used("it", "alice") == 200
