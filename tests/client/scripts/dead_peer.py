"""A program that asks a sidecar on another host, cuts the cable, and mends it again.

Run in a network namespace of its own: `unshare --net python -m ...dead_peer WAY`, with
WAY `sync` or `async`. The other host is a second namespace. It prints how many seconds
the silence went unnoticed, and how many after the mending the first answer took.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from sidecar_client import SidecarError, SidecarUnavailable, Stigg, SyncStigg
from tests.client.servers import QUESTION

HERE, THERE = "10.77.0.1", "10.77.0.2"
SERVE = """
import sys
from tests.client.servers import Server
with Server(address="0.0.0.0:0") as server:
    print(server.target.rpartition(":")[2], flush=True)
    sys.stdin.read()
"""


def ip(command: str, *, pid: int | None = None) -> None:
    inside = [] if pid is None else ["nsenter", f"--target={pid}", "--net"]
    subprocess.run([*inside, "ip", *command.split()], check=True)


def connect(pid: int) -> None:
    """Lay a cable between the two hosts; addresses are known, so none is asked for."""
    ip(f"link add here type veth peer name there netns {pid}")
    ip("link set here address 02:00:00:00:00:01")
    ip("link set there address 02:00:00:00:00:02", pid=pid)
    for name, address, other in (("here", HERE, None), ("there", THERE, pid)):
        ip(f"addr add {address}/24 dev {name}", pid=other)
        ip(f"link set {name} up", pid=other)
    ip(f"neigh add {THERE} lladdr 02:00:00:00:00:02 dev here nud permanent")
    ip(f"neigh add {HERE} lladdr 02:00:00:00:00:01 dev there nud permanent", pid=pid)


async def measure(ask: Callable[[float], Awaitable[object]], pid: int) -> None:
    await ask(10)
    # The other end goes silent; this one sees nothing of it, as with a dead host.
    ip("addr flush dev there", pid=pid)
    cut = time.monotonic()
    try:
        await ask(10)
    except SidecarUnavailable:
        print(f"noticed {time.monotonic() - cut:.3f}", flush=True)
    ip(f"addr add {THERE}/24 dev there", pid=pid)
    ip(
        f"neigh replace {HERE} lladdr 02:00:00:00:00:01 dev there nud permanent",
        pid=pid,
    )
    mended = time.monotonic()
    while time.monotonic() - mended < 10:
        try:
            await ask(0.25)
        except SidecarError:
            continue
        print(f"answered {time.monotonic() - mended:.3f}", flush=True)
        return


def other_host() -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def main(way: str) -> None:
    server = other_host()
    assert server.stdout is not None
    port = int(server.stdout.readline())
    connect(server.pid)
    target = f"{THERE}:{port}"
    try:
        if way == "sync":
            with SyncStigg(target=target) as synchronous:

                async def ask(timeout: float) -> object:
                    return synchronous.get_entitlement(QUESTION, timeout=timeout)

                await measure(ask, server.pid)
        else:
            async with Stigg(target=target) as stigg:
                await measure(
                    lambda timeout: stigg.get_entitlement(QUESTION, timeout=timeout),
                    server.pid,
                )
    finally:
        server.kill()
        server.wait()


asyncio.run(main(sys.argv[1]))
