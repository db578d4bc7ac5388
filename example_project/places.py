"""Where an example listens and keeps its usage: as it was asked for, or its own choice.

The web server and the sidecar are started in `launch`.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
WEB_PORT: Final = 8000
SIDECAR_PORT: Final = 8443
CONSOLE_PORT: Final = 8080
WEBHOOKS: Final = "/webhooks/stigg/"
"""Where Revvenu in Django is told that a plan has changed."""
_TRIED: Final = 20


class LaunchError(Exception):
    """The example cannot be started as asked; says why, and the cure."""


def web_port() -> int:
    """`REVVENU_PORT` when it is free, else 8000 or the next free one."""
    asked = asked_port("REVVENU_PORT")
    if asked is None:
        return _first_free(range(WEB_PORT, WEB_PORT + _TRIED))
    if not _is_free(asked):
        raise LaunchError(
            f"REVVENU_PORT is {asked}, which is taken by another program; choose"
            " another port, or leave it out to get a free one."
        )
    return asked


def console_port() -> int:
    """`REVVENU_CONSOLE_PORT`, else 8080 when it is free, else any."""
    asked = asked_port("REVVENU_CONSOLE_PORT")
    if asked is not None:
        return asked
    return CONSOLE_PORT if _is_free(CONSOLE_PORT) else free_port()


def webhook_secret() -> str:
    """`REVVENU_WEBHOOK_SECRET`: what the sidecar's webhooks are known by."""
    return os.environ.get("REVVENU_WEBHOOK_SECRET") or "revvenu-demo-on-loopback-only"


def asked_port(name: str) -> int | None:
    """The port in an environment variable; None when it is not set."""
    written = os.environ.get(name)
    if not written:
        return None
    if not written.isdecimal() or not 0 < int(written) < 65536:
        raise LaunchError(f'{name} is "{written}"; use a port from 1 to 65535.')
    return int(written)


def outbox(framework: str) -> str:
    """`REVVENU_OUTBOX`, or a SQLite file of the framework's own in this folder.

    What waits in it was used by the customers of one sidecar: no two examples share it.
    """
    own = Path(__file__).resolve().parent / f"usage-{framework}.sqlite3"
    return os.environ.get("REVVENU_OUTBOX") or str(own)


def free_port() -> int:
    """Some port that nobody listens on."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port


def _first_free(ports: range) -> int:
    for port in ports:
        if _is_free(port):
            return port
    raise LaunchError(
        f"the ports {ports.start} to {ports.stop - 1} are all taken; set REVVENU_PORT"
        " to a free one."
    )


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False
