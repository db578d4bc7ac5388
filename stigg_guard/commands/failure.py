"""What goes wrong in a command: one line on stderr and an exit status, no traceback.

The commands and their group are made of the classes here; what they do is elsewhere.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import click

from stigg_guard.commands.terminal import prepared
from stigg_guard.commands.words import printable
from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import OutboxUnavailable

HELP: Final = "Ask about entitlements and usage, and look after what guards the views."
"""Of all the commands together."""


class Failure(click.ClickException):
    """Ends the command with `Error: ...` in one line: what was given cannot be used."""

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.split())))


class Undone(Failure):
    """What should be done was not done, or not all of it."""

    exit_code = 1


class Alarm(Failure):
    """All was done, and there is reason for an alarm."""

    exit_code = 3


class Command(click.Command):
    """A command whose errors are one line each."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        with _in_one_line():
            return prepared(super().make_context(info_name, args, parent, **extra))

    def invoke(self, ctx: click.Context) -> Any:
        with _in_one_line(is_typed=False):
            return super().invoke(ctx)


class Group(click.Group):
    """A group whose errors, and whose commands' errors, are one line each."""

    command_class = Command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if not args:  # click shows the help, as an error
            return super().make_context(info_name, args, parent, **extra)
        with _in_one_line():
            return prepared(super().make_context(info_name, args, parent, **extra))

    def invoke(self, ctx: click.Context) -> Any:
        with _in_one_line():
            return super().invoke(ctx)


def is_help(error: click.ClickException) -> bool:
    """Whether it only shows the help to somebody who typed no command."""
    # Of click 8.2 and newer; before, help is no error.
    return type(error).__name__ == "NoArgsIsHelpError"


@contextmanager
def _in_one_line(*, is_typed: bool = True) -> Generator[None]:
    """Errors become a `Failure`; with a hint where it was typed wrongly."""
    try:
        yield
    except click.UsageError as error:
        if is_help(error):
            raise
        hint = f" See {error.ctx.command_path} --help." if error.ctx else ""
        text = error.format_message().rstrip()
        raise Failure(f"{text}{hint if is_typed else ''}") from error
    except (ConfigurationError, OutboxUnavailable) as error:
        raise Failure(str(error)) from error


def confirm(question: str, *, yes: bool) -> None:
    """Go on if a person agrees, or did before with --yes; else nothing is changed."""
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Undone("Nobody agreed, so nothing was changed; --yes agrees beforehand.")
