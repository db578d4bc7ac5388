"""A catalog whose files are edited while it is served: it is read and served again.

Seeing that files changed and telling what became of it live here; making the changes
is `populate`'s.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.catalog_files import seen

if TYPE_CHECKING:
    from sidecar_client.local.sidecar import LocalSidecar

logger = logging.getLogger("sidecar_client.local")

EVERY: Final = 0.5
"""Seconds between two looks; files that have been the same twice are read."""
_MOST_LINES: Final = 20


class Reloader:
    """Looks after the files of a running sidecar's catalog."""

    def __init__(self, sidecar: LocalSidecar) -> None:
        self._sidecar = sidecar
        self._paths = sidecar.catalog_paths
        self._known = self._before = sidecar.catalog_seen
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.look()

    async def look(self) -> bool:
        """Look once; whether the catalog was read again.

        It is when its files changed, and have been the same for two looks: who writes a
        file may not be done with it at the first.
        """
        now = seen(self._paths)
        is_still, self._before = now == self._before, now
        if not is_still or now == self._known:
            return False
        self._known = now
        await self.reload()
        return True

    async def reload(self) -> None:
        """Read the catalog again and serve it; what is wrong keeps the old one."""
        async with self._turn:
            if not self._paths:
                logger.warning("The catalog is no file, so it cannot be read again.")
                return
            try:
                lines = await self._sidecar.areload()
            except ConfigurationError as error:
                logger.error(
                    "The catalog %s is not served, the one before it still is:\n%s",
                    self._sidecar.origin,
                    error,
                )
            except Exception:
                logger.exception("The catalog could not be loaded again.")
            else:
                self._tell(lines)

    def _tell(self, lines: Sequence[str]) -> None:
        logger.info(
            "Catalog %s read again: %s.",
            self._sidecar.origin,
            f"{len(lines)} changed" if lines else "nothing changed",
        )
        for line in lines[:_MOST_LINES]:
            logger.info("  %s", line)
        if len(lines) > _MOST_LINES:
            logger.info("  ... and %d more", len(lines) - _MOST_LINES)


@contextmanager
def reloading(sidecar: LocalSidecar) -> Generator[None]:
    """Reload when files change, and at SIGHUP, for the length of a `with` block."""
    reloader = Reloader(sidecar)
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(reloader.reload())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    looking = loop.create_task(reloader.run())
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        for task in (looking, *tasks):
            task.cancel()
