"""The demo's own sidecar, which its pages can switch off and on again.

It runs in the demo's process and keeps what it counted while it is off. Who presses the
switch is said in `revvenu.backstage`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from example_project.places import (
    HOST,
    SIDECAR_PORT,
    WEBHOOKS,
    asked_port,
    console_port,
    free_port,
    webhook_secret,
)
from sidecar_client import ConfigurationError
from sidecar_client.local import LocalSidecar, Webhook


class Switch:
    """A running local sidecar; pressing it twice is as good as once."""

    def __init__(self, sidecar: LocalSidecar) -> None:
        self._sidecar = sidecar
        self._lock = threading.Lock()
        self.is_on = True

    def turn(self, *, on: bool) -> None:
        """Listen again, or close the port: then nobody is there to be reached."""
        with self._lock:
            if on and not self.is_on:
                self._sidecar.start()
            elif not on and self.is_on:
                self._sidecar.stop()
            self.is_on = on


_switches: Final[list[Switch]] = []


def switch() -> Switch | None:
    """The demo's switch; None when the sidecar is not the demo's own."""
    return _switches[-1] if _switches else None


@contextmanager
def switched_sidecar(web_port: int) -> Generator[LocalSidecar]:
    """A local sidecar with a switch, until the demo ends.

    It has a console, and tells the application on that port what is changed there.
    """
    sidecar = _started(web_port)
    found = Switch(sidecar)
    _switches.append(found)
    try:
        yield sidecar
    finally:
        _switches.remove(found)
        found.turn(on=False)


def _started(web_port: int) -> LocalSidecar:
    asked = asked_port("REVVENU_SIDECAR_PORT")
    hook = Webhook(url=f"http://{HOST}:{web_port}{WEBHOOKS}", secret=webhook_secret())

    def made(port: int) -> LocalSidecar:
        return LocalSidecar(port=port, http_port=console_port(), webhooks=[hook])

    sidecar = made(SIDECAR_PORT if asked is None else asked)
    try:
        sidecar.start()
    except ConfigurationError:
        if asked is not None:
            raise
        sidecar = made(free_port())
        sidecar.start()
    return sidecar
