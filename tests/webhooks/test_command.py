"""`stigg-guard sidecar run --webhook-url`, as people type it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time

import httpx

from tests.webhooks.receiver import receiver
from tests.webhooks.samples import HEADER, SECRET

MUTATION = """
mutation { provisionCustomer(input: {customerId: "c-1"}) { customer { id } } }
"""


def test_command_tells_webhooks_of_changes() -> None:
    with receiver() as other_side:
        command = [sys.executable, "-m", "stigg_guard.cli", "sidecar", "run"]
        ports = ["--port", "0", "--http-port", "0"]
        hook = ["--webhook-url", other_side.url, "--webhook-shape", "envelope"]
        secret = {"STIGG_GUARD_WEBHOOK_SECRET": SECRET, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [*command, *ports, *hook],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **secret},
        ) as process:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(3)]
            (url,) = re.findall(r"http://127\.0\.0\.1:\d+$", lines[1].strip())
            assert lines[2] == f"Webhooks:  {other_side.url}\n"
            answer = httpx.post(f"{url}/graphql", json={"query": MUTATION}, timeout=30)
            assert "errors" not in answer.json()
            give_up = time.monotonic() + 20
            while not other_side.got:
                assert time.monotonic() < give_up
                time.sleep(0.01)
            process.terminate()
            process.communicate(timeout=30)
        assert process.returncode == 0
    (got,) = other_side.got
    assert got.headers[HEADER] == SECRET
    assert got.json["type"] == "customer.created"
    assert got.json["data"]["id"] == "c-1"
