"""Real Redis clusters and Sentinels for tests, on free ports of loopback."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import redis

from tests.redis_server import redis_server

SLOTS = 16384
UNSAFE_BUT_FAST = ("--appendonly", "no")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def command(port: int, *words: object) -> Any:
    """One command's answer, of a server that may not be what a client expects."""
    with redis.Redis(port=port) as client:
        return cast("Any", client).execute_command(*words)


def wait_until(holds: Callable[[], object], what: str, seconds: float = 30) -> None:
    give_up = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up, f"it never came true that {what}"
        time.sleep(0.01)


@contextmanager
def redis_cluster(nodes: int = 3) -> Generator[tuple[int, ...]]:
    """The ports of a cluster's nodes; each serves its part of the slots."""
    with ExitStack() as stack:
        ports: list[int] = []
        buses: list[int] = []
        for _ in range(nodes):
            buses.append(free_port())
            server = stack.enter_context(
                redis_server(
                    *UNSAFE_BUT_FAST,
                    *("--cluster-enabled", "yes", "--cluster-port", str(buses[-1])),
                )
            )
            ports.append(server.port)
        for i, port in enumerate(ports):
            first, end = SLOTS * i // nodes, SLOTS * (i + 1) // nodes
            command(port, "CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            command(port, "CLUSTER", "MEET", "127.0.0.1", ports[0], buses[0])
        wait_until(
            lambda: all(_is_whole(port, nodes) for port in ports), "a cluster is whole"
        )
        yield tuple(ports)


@contextmanager
def redis_sentinel(primary_port: int, service: str) -> Generator[int]:
    """The port of a Sentinel that watches a server."""
    with tempfile.TemporaryDirectory(prefix="sentinel-") as folder:
        port = free_port()
        settings = Path(folder, "sentinel.conf")
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {service} 127.0.0.1 {primary_port} 1\n"
        )
        process = subprocess.Popen(
            ["redis-server", str(settings), "--sentinel"], stdout=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: _knows(port, service), "a Sentinel knows its primary")
            yield port
        finally:
            process.kill()
            process.wait(30)


def _is_whole(port: int, nodes: int) -> bool:
    is_ok = b"cluster_state:ok" in command(port, "CLUSTER", "INFO")
    return is_ok and len(command(port, "CLUSTER", "SLOTS")) == nodes


def _knows(port: int, service: str) -> bool:
    with suppress(redis.RedisError):
        return bool(command(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", service))
    return False
