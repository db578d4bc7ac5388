"""When leases run out, and what a holder that does not read costs."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from sidecar_client.local.leases import Leases

BOUND = 5
"""Seconds after which a test is no longer slow but stuck."""


async def connect(leases: Leases) -> tuple[socket.socket, asyncio.Task[None]]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=theirs)
    return ours, asyncio.create_task(leases.serve(reader, writer))


async def test_leases_run_out_when_none_is_ever_taken() -> None:
    began = time.monotonic()
    await asyncio.wait_for(Leases({}).run_out(first=0.01, grace=30), 5)
    assert time.monotonic() - began < 5


async def test_leases_run_out_after_the_last_ends() -> None:
    leases = Leases({})
    over = asyncio.create_task(leases.run_out(first=30, grace=0.01))
    first, serving_first = await connect(leases)
    second, serving_second = await connect(leases)
    first.close()
    await serving_first
    await asyncio.sleep(0)
    assert not over.done()
    second.close()
    await serving_second
    await asyncio.wait_for(over, 5)


async def test_lease_within_the_grace_keeps_it_running() -> None:
    leases = Leases({})
    over = asyncio.create_task(leases.run_out(first=30, grace=30))
    first, serving_first = await connect(leases)
    first.close()
    await serving_first
    second, serving_second = await connect(leases)
    await asyncio.sleep(0)
    assert not over.done()
    over.cancel()
    second.close()
    await serving_second


@pytest.mark.parametrize("turns", range(6))
async def test_waiting_ends_though_a_lease_comes_at_that_moment(turns: int) -> None:
    leases = Leases({})
    over = asyncio.create_task(leases.run_out(first=60, grace=60))
    await asyncio.sleep(0)
    holder, serving = await connect(leases)
    for _ in range(turns):
        await asyncio.sleep(0)
    over.cancel()
    ended, _ = await asyncio.wait([over], timeout=BOUND)
    over.cancel()
    assert ended == {over}
    assert over.cancelled()
    holder.close()
    await serving


async def test_holder_that_does_not_read_does_not_fill_the_memory() -> None:
    leases = Leases({})
    ours, serving = await connect(leases)
    await asyncio.sleep(0)
    for _ in range(3000):
        leases.hear({"message": "x" * 1000})
    (task,) = [t for t in asyncio.all_tasks() if t is serving]
    assert not task.done()
    assert leases.waiting_bytes < 1_100_000
    ours.close()
    await serving
