"""Real servers for the suite's applications, in a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from werkzeug.serving import make_server

from stigg_guard.testing.contract.hanging_up import hang_up_amid

__all__ = ["hang_up_amid", "uvicorn_serving", "wsgi_serving"]


@contextmanager
def uvicorn_serving(app: Any) -> Generator[int]:
    """An ASGI application behind uvicorn; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_level="critical",
        timeout_graceful_shutdown=5,
        ws="none",  # old ones warn of what they import for it
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def wsgi_serving(app: Any) -> Generator[int]:
    """A WSGI application behind werkzeug's server, a thread per request."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.log = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
