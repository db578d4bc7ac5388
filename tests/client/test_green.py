"""Clients in processes whose standard library was replaced by gevent or eventlet."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import grpc

from tests.client.servers import Server, allow


def slowly(request: bytes, context: grpc.ServicerContext) -> bytes:
    time.sleep(0.2)
    return allow(request, context)


def test_gevent_workers_ask_side_by_side_and_the_async_client_refuses() -> None:
    with Server(slowly) as server:
        done = subprocess.run(
            [sys.executable, "-m", "tests.client.scripts.green", server.target],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    calls, refusal = done.stdout.splitlines()
    allowed, seconds, ticks = calls.split()
    assert allowed == "True"
    assert float(seconds) < 1.5, "the calls ran one after another"
    assert int(ticks) > 5, "the hub was frozen"
    assert "gevent has patched this process" in refusal
    assert "use SyncStigg" in refusal


def test_eventlet_is_refused_by_both_clients_with_a_cure(tmp_path: Path) -> None:
    # eventlet itself is not needed: what counts is what it says of its patching.
    package = tmp_path / "eventlet"
    package.mkdir()
    package.joinpath("__init__.py").touch()
    package.joinpath("patcher.py").write_text(
        "def is_monkey_patched(name):\n    return name == 'socket'\n"
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import asyncio, eventlet.patcher\n"
        "from sidecar_client import *\n"
        "question = GetEntitlementRequest()\n"
        "try: SyncStigg(target='127.0.0.1:1').get_entitlement(question)\n"
        "except ConfigurationError as error: print(error)\n"
        "try: asyncio.run(Stigg(target='127.0.0.1:1').get_entitlement(question))\n"
        "except ConfigurationError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True
    )
    synchronous, asynchronous = done.stdout.splitlines()
    assert synchronous.startswith("SyncStigg cannot be used: eventlet has patched")
    assert asynchronous.startswith("Stigg cannot be used: eventlet has patched")
    assert "use threads, gevent or asyncio" in synchronous
