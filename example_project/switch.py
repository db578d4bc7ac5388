"""The demo's own sidecar, which its pages can switch off and on again.

It runs in the demo's process and keeps what it counted while it is off. Who presses the
switch is said in `revvenu.backstage`.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from example_project.places import SIDECAR_PORT, asked_port, free_port
from sidecar_client import ConfigurationError
from sidecar_client.local import LocalSidecar


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
def switched_sidecar() -> Generator[LocalSidecar]:
    """A local sidecar with a switch, until the demo ends."""
    sidecar = _started()
    found = Switch(sidecar)
    _switches.append(found)
    try:
        yield sidecar
    finally:
        _switches.remove(found)
        found.turn(on=False)


def _started() -> LocalSidecar:
    asked = asked_port("REVVENU_SIDECAR_PORT")
    sidecar = LocalSidecar(port=SIDECAR_PORT if asked is None else asked)
    try:
        sidecar.start()
    except ConfigurationError:
        if asked is not None:
            raise
        sidecar = LocalSidecar(port=free_port())
        sidecar.start()
    return sidecar
