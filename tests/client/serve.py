"""A sidecar in a process of its own: `python -m tests.client.serve PORT`."""

from __future__ import annotations

import sys
import threading

from tests.client.servers import Server

if __name__ == "__main__":
    with Server(address=f"127.0.0.1:{sys.argv[1]}"):
        print("ready", flush=True)
        threading.Event().wait()
