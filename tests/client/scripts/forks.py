"""A program that forks: warms the client up in the way named, then asks in a child.

`python -m tests.client.scripts.forks WAY TARGET` prints one line per answer or error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable

from sidecar_client import Stigg, StiggGuardError, SyncStigg
from tests.client.servers import QUESTION

WAY, TARGET = sys.argv[1:3]
stigg = Stigg(target=TARGET, timeout=10)
synchronous = SyncStigg(target=TARGET, timeout=10)


def ask_sync() -> bool:
    return synchronous.get_entitlement(QUESTION).has_access


async def ask_async() -> bool:
    return (await stigg.get_entitlement(QUESTION)).has_access


def report(who: str, ask: Callable[[], bool]) -> None:
    try:
        print(who, "allowed" if ask() else "denied", flush=True)
    except StiggGuardError as error:
        print(who, type(error).__name__, error, flush=True)


def in_child(*, leave: Callable[[int], object] = sys.exit) -> None:
    """Fork; the child asks with both clients, then ends as programs do."""
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        print("child ended with", status, flush=True)
        return
    signal.alarm(20)  # a child that hangs must not outlive the test
    report("child sync", ask_sync)
    report("child async", lambda: asyncio.run(ask_async()))
    leave(0)


def cold() -> None:
    in_child()


def warm() -> None:
    report("parent sync", ask_sync)
    report("parent async", lambda: asyncio.run(ask_async()))
    in_child()
    report("parent sync", ask_sync)
    report("parent async", lambda: asyncio.run(ask_async()))


def busy() -> None:
    stop = threading.Event()

    def ask_on() -> None:
        while not stop.is_set():
            ask_sync()

    threads = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        in_child(leave=os._exit)
    stop.set()
    for thread in threads:
        thread.join()
    report("parent sync", ask_sync)


def idle_loop() -> None:
    async def main() -> None:
        await ask_async()
        in_child_of_a_loop()
        print("parent async", "allowed" if await ask_async() else "denied", flush=True)

    asyncio.run(main())


def in_child_of_a_loop() -> None:
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        print("child ended with", status, flush=True)
        return
    signal.alarm(20)
    report("child sync", ask_sync)
    # The parent's loop still counts as running here, so asyncio needs another thread.
    thread = threading.Thread(
        target=report, args=("child async", lambda: asyncio.run(ask_async()))
    )
    thread.start()
    thread.join()
    os._exit(0)


def running_loop() -> None:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    asyncio.run_coroutine_threadsafe(ask_async(), loop).result()
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        print("child ended with", status, flush=True)
        answer = asyncio.run_coroutine_threadsafe(ask_async(), loop).result()
        print("parent async", "allowed" if answer else "denied", flush=True)
        os._exit(0)
    signal.alarm(20)
    report("child async", lambda: asyncio.run(ask_async()))
    os._exit(0)


if __name__ == "__main__":
    {
        "cold": cold,
        "warm": warm,
        "busy": busy,
        "idle_loop": idle_loop,
        "running_loop": running_loop,
    }[WAY]()
