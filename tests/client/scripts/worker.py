"""A program that holds a local sidecar: `python -m ... PORT [fork | idle-child]`.

With `fork`, a child goes on asking after the parent that started the sidecar ended.
"""

from __future__ import annotations

import os
import sys
import threading

from sidecar_client import GetEntitlementsRequest, SyncStigg

stigg = SyncStigg(local_sidecar_port=int(sys.argv[1]), timeout=10)


def ask(line: str) -> None:
    stigg.get_entitlements(GetEntitlementsRequest(customer_id="customer-demo-01"))
    print(line, flush=True)


def fork() -> None:
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        # The child has asked, so it holds a lease of its own; then this parent ends.
        os.read(told, 1)
        return
    ask("child asked")
    parent = os.getppid()
    os.close(tell)
    while os.getppid() == parent:
        threading.Event().wait(0.02)
    ask("child asked again")


def idle_child() -> None:
    """End, but leave a child behind that never asks and ends with its input."""
    if not os.fork():
        sys.stdin.read()


if __name__ == "__main__":
    ask("asked")
    if sys.argv[2:] == ["fork"]:
        fork()
    elif sys.argv[2:] == ["idle-child"]:
        idle_child()
    else:
        threading.Event().wait()
