"""Requests as fast as a server answers them: by wrk, else by a loop in Python.

The loop costs more than many a view does, so the tables say which of them it was.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from typing import Final

_TIMES: Final = {"us": 1.0, "ms": 1e3, "s": 1e6}
_LATENCY: Final = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", re.MULTILINE)
_RATE: Final = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_FAILURES: Final = re.compile(r"Non-2xx or 3xx|Socket errors: (?!connect 0, read 0)")


def tool() -> str:
    """What makes the requests."""
    return "wrk" if shutil.which("wrk") else "a loop in Python (wrk is missing)"


def load(url: str, connections: int, seconds: int) -> dict[str, float]:
    """Requests a second, and their p50 and p99 in microseconds."""
    program = shutil.which("wrk")
    if program is None:
        return asyncio.run(python_load(url, connections, seconds))
    shown = subprocess.run(
        [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rate = _RATE.search(shown)
    times = {
        percent: float(number) * _TIMES[unit]
        for percent, number, unit in _LATENCY.findall(shown)
    }
    if rate is None or _FAILURES.search(shown) or set(times) != {"50", "99"}:
        raise RuntimeError(f"wrk could not use {url}:\n{shown}")
    return {"rate": float(rate[1]), "p50": times["50"], "p99": times["99"]}


async def python_load(url: str, connections: int, seconds: float) -> dict[str, float]:
    """The same without wrk."""
    address, _, path = url.removeprefix("http://").partition("/")
    host, _, port = address.partition(":")
    asked = f"GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
    latencies: list[float] = []
    start = time.perf_counter()

    async def keep_asking() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        while (now := time.perf_counter()) < start + seconds:
            writer.write(asked)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head[:13]:
                raise RuntimeError(f"{url} answered {head!r}")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if length is not None:
                await reader.readexactly(int(length[1]))
            else:  # in chunks; the last one is empty
                await reader.readuntil(b"0\r\n\r\n")
            latencies.append(time.perf_counter() - now)
        writer.close()

    await asyncio.gather(*(keep_asking() for _ in range(connections)))
    ordered = sorted(latencies)
    return {
        "rate": len(ordered) / (time.perf_counter() - start),
        "p50": ordered[len(ordered) // 2] * 1e6,
        "p99": ordered[int(len(ordered) * 0.99)] * 1e6,
    }
