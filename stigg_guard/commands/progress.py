"""How far a delivery is, told on a terminal in one line, elsewhere in a line at times.

What the figures are is `run`'s.
"""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

import click

from stigg_guard.commands.words import age, printable

_LIVE_EVERY: Final = 0.2
_LINE_EVERY: Final = 5.0
_CLEAR: Final = "\r\x1b[K"
_LOGGERS: Final = ("stigg_guard", "sidecar_client")


class Progress:
    """Tells figures at most so often; what else is said stands above their line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._is_live = sys.stdout.isatty()
        self._is_shown = False
        self._told = ""
        self._due_at = clock() + (0 if self._is_live else _LINE_EVERY)

    @property
    def is_due(self) -> bool:
        """Whether to tell the figures now."""
        return self._clock() >= self._due_at

    def show(self, figures: str) -> None:
        """Tell figures; where lines stay, only such as were not told before."""
        self._due_at = self._clock() + (_LIVE_EVERY if self._is_live else _LINE_EVERY)
        if self._is_live:
            width = max(10, shutil.get_terminal_size().columns - 1)
            click.echo(f"{_CLEAR}{figures[:width]}", nl=False)
            self._is_shown = True
        elif figures != self._told:
            self._told = figures
            click.echo(figures)

    def say(self, text: str, *, err: bool = False) -> None:
        """Tell something that stays."""
        if self._is_shown:
            click.echo(_CLEAR, nl=False)
            self._is_shown = False
        click.echo(printable(text), err=err)


class Trouble:
    """Something that may pass, told when it begins and when it is over."""

    def __init__(self, progress: Progress, what: str, over: str) -> None:
        self.cause: str | None = None
        """What is wrong now, if anything is."""
        self._progress = progress
        self._what = what
        self._over = over
        self._since = 0.0

    def is_there(self, cause: str) -> None:
        """Take note of one more failure; the first one is told."""
        if self.cause is None:
            self._since = time.monotonic()
            self._progress.say(f"{self._what}: {cause}", err=True)
        self.cause = cause

    def is_over(self) -> None:
        """Take note of a success."""
        if self.cause is not None:
            lasted = age(time.monotonic() - self._since)
            self._progress.say(f"{self._over}, after {lasted}.", err=True)
            self.cause = None


@contextmanager
def log_shown(progress: Progress) -> Generator[None]:
    """Show what is logged above the figures, where nothing else handles the log."""
    handler = _Above(progress)
    ours = [
        logger for logger in map(logging.getLogger, _LOGGERS) if not _is_handled(logger)
    ]
    for logger in ours:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in ours:
            logger.removeHandler(handler)


class _Above(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.say(f"{record.levelname}: {record.getMessage()}", err=True)


def _is_handled(logger: logging.Logger | None) -> bool:
    while logger is not None:
        if any(not isinstance(h, logging.NullHandler) for h in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
