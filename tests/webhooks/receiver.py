"""A real HTTP server that takes webhooks, and answers as a test tells it."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Got(NamedTuple):
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Receiver:
    """What arrived, in its order; `statuses` are those of the next answers, then 200.

    `on_post` is called before an answer, in the request's thread.
    """

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.statuses: deque[int] = deque()
        self.on_post: Callable[[], object] = lambda: None
        self.url = ""

    @property
    def types(self) -> list[str]:
        return [got.json["type"] for got in self.got]


@contextmanager
def receiver() -> Generator[Receiver]:
    """One on a free port of loopback."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(Got(dict(self.headers), body))
            found.on_post()
            status = found.statuses.popleft() if found.statuses else 200
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of senders that gave up."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}/webhooks/stigg/"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
