"""Where a command's guard comes from: a front end says it once, for all commands.

What the commands do with the guard is theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, replace
from typing import Final

import click

from stigg_guard.commands.failure import Failure
from stigg_guard.commands.finding import Finding
from stigg_guard.guard import Guard
from stigg_guard.metering.outbox.locations import DJANGO
from stigg_guard.settings import Settings

PATIENCE: Final = 5.0
"""Seconds that a command waits for the sidecar, at least."""

_IN_DJANGO: Final = ("django", DJANGO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A front end's way to its guard, and its words for what is missing.

    `outbox_cure` says how OUTBOX is set. `target_cure` says how the sidecar is named
    where it was not, None where it was. The guard is closed by who made it.
    """

    guard: Callable[[], Guard]
    outbox_cure: str
    target_cure: str | None = None
    is_django: bool = False
    patience: float | None = None
    """Seconds to wait for the sidecar; None: what suits a person."""
    hint: str = ""
    """What to add where the sidecar that nobody named does not answer."""
    findings: Callable[[], Iterable[Finding]] = tuple
    """What `doctor` has to tell of the framework's part."""

    def opened(self, *, is_made: bool = False) -> Guard:
        """The guard with its outbox open; a file that is not there `is_made`, or not.

        Raises `Failure` where there is none, `ConfigurationError` or
        `OutboxUnavailable` where it cannot be used.
        """
        guard = self.guard()
        location = guard.settings.outbox
        if location is None:
            raise Failure(f"No outbox is set, so nothing is kept; {self.outbox_cure}")
        if location in _IN_DJANGO and not self.is_django:
            raise Failure(
                f'The outbox is "{location}", in the database of a Django project; use'
                " `manage.py stigg_guard outbox` of that project."
            )
        try:
            outbox = guard.outbox
            if not outbox.is_durable:
                raise Failure(
                    f'The outbox is "{location}", which each process has for itself;'
                    f" {self.outbox_cure}"
                )
            if not is_made:
                _must_be_there(outbox.location)
            outbox.check()
        except ImportError as error:
            raise Failure(str(error)) from error
        return guard

    def check_target(self, purpose: str = "deliver to") -> None:
        """Raise `Failure` where nobody said which sidecar is meant."""
        if self.target_cure is not None:
            raise Failure(
                f"No sidecar is named, so there is nobody to {purpose};"
                f" {self.target_cure}"
            )

    def asking(self) -> Guard:
        """A guard for questions of a person, who waits longer than a request would."""
        self.check_target("ask")
        settings = self.guard().settings
        return _of_this_command(
            replace(
                settings,
                timeout=self.patience or max(settings.timeout, PATIENCE),
                write_timeout=self.patience or max(settings.write_timeout, PATIENCE),
                hooks={},
            )
        )

    def reporting(self) -> Guard:
        """A guard for one report; an outbox is left to those who deliver it."""
        self.check_target("report to")
        settings = self.guard().settings
        return _of_this_command(
            replace(
                settings,
                write_timeout=self.patience or settings.write_timeout,
                outbox_worker=settings.outbox is None,
            )
        )


def _of_this_command(settings: Settings) -> Guard:
    guard = Guard(settings)
    click.get_current_context().call_on_close(guard.close)
    return guard


def placed(command: click.Command, source: Callable[[], Source]) -> click.Command:
    """A copy of a command that gets its guard from a front end."""
    own = copy(command)
    run = command.callback
    assert run is not None

    def callback(**options: object) -> object:
        click.get_current_context().obj = source()
        return run(**options)

    own.callback = callback
    return own


def _must_be_there(location: str) -> None:
    """Looking at an outbox does not make one, least of all where a path is a slip."""
    if os.path.isabs(location) and not os.path.lexists(location):
        raise Failure(
            f"There is no outbox {location}: nothing was stored in it yet, or it is"
            " somewhere else; check the path."
        )


pass_source = click.make_pass_decorator(Source)
