"""One async client in many event loops: each has its channel, none is kept too long."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sidecar_client import Stigg, grpc_async
from sidecar_client.grpc_channel import ChannelSettings
from tests.client.servers import QUESTION, Hold, Server


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> weakref.WeakSet[object]:
    """Every transport opened in the test that is still alive."""
    alive: weakref.WeakSet[object] = weakref.WeakSet()

    class Counted(grpc_async.AsyncGrpcTransport):
        def __init__(self, settings: ChannelSettings) -> None:
            super().__init__(settings)
            alive.add(self)

    monkeypatch.setattr(grpc_async, "AsyncGrpcTransport", Counted)
    return alive


# grpcio before 1.72 leaves its own pair of sockets to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
def test_one_client_works_in_one_loop_after_another(
    opened: weakref.WeakSet[object],
) -> None:
    async def ask() -> bool:
        return (await stigg.get_entitlement(QUESTION)).has_access

    with Server() as server:
        stigg = Stigg(target=server.target, timeout=10)
        for _ in range(10):
            assert asyncio.run(ask())
            gc.collect()
            assert len(opened) == 1, "channels of closed loops are kept"
        stigg.close()
        gc.collect()
        assert len(opened) == 0


def test_one_client_works_in_several_loops_at_once() -> None:
    async def ask() -> bool:
        answers = await asyncio.gather(
            *(stigg.get_entitlement(QUESTION, timeout=10) for _ in range(20))
        )
        return all(answer.has_access for answer in answers)

    with Server() as server:
        stigg = Stigg(target=server.target, timeout=10)
        with ThreadPoolExecutor(4) as pool:
            runs = [pool.submit(asyncio.run, ask()) for _ in range(12)]
            assert all(run.result() for run in runs)
        stigg.close()


async def test_calls_in_one_loop_share_one_channel(
    opened: weakref.WeakSet[object],
) -> None:
    with Server() as server:
        async with Stigg(target=server.target, timeout=10) as stigg:
            await asyncio.gather(*(stigg.get_entitlement(QUESTION) for _ in range(50)))
            assert len(opened) == 1


async def test_a_call_makes_no_task_of_its_own_but_grpcs() -> None:
    with Server() as server:
        async with Stigg(target=server.target, timeout=10) as stigg:
            await stigg.get_entitlement(QUESTION)
            made: list[str] = []
            loop = asyncio.get_running_loop()

            def count(
                loop: asyncio.AbstractEventLoop, coroutine: Any, **_: Any
            ) -> asyncio.Task[Any]:
                made.append(getattr(coroutine, "__qualname__", ""))
                return asyncio.Task(coroutine, loop=loop)

            loop.set_task_factory(count)
            await stigg.get_entitlement(QUESTION)
            loop.set_task_factory(None)
    assert [name for name in made if "UnaryUnaryCall" not in name] == []


async def test_closing_leaves_other_loops_calls_to_end() -> None:
    hold = Hold()
    with Server(hold) as server:
        stigg = Stigg(target=server.target, timeout=10)
        answers: list[bool] = []

        async def ask() -> None:
            answers.append((await stigg.get_entitlement(QUESTION)).has_access)

        other = threading.Thread(target=lambda: asyncio.run(ask()))
        other.start()
        await asyncio.to_thread(hold.wait_for, 1)
        stigg.close()
        hold.let_go()
        await asyncio.to_thread(other.join)
        assert answers == [True]
