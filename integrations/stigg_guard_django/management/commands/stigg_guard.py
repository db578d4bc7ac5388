"""`manage.py stigg_guard`: the commands of stigg_guard on the project's own guard.

Django's options are Django's, everything else is handed to the commands, which are in
`stigg_guard.commands`.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from stigg_guard.extras import require
from stigg_guard_django.apps import SETTING, project_guards

if TYPE_CHECKING:
    import click

    from stigg_guard.commands.finding import Finding


class Error(CommandError):
    """What ends a command; Django tells it under this name."""


class Command(BaseCommand):
    """Runs the commands of stigg_guard."""

    help = "Ask about entitlements and usage, and look after what guards the views."
    # Its own checks are of views; a command says itself what it misses.
    requires_system_checks = ()

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        """Django's options, wherever they stand; the rest is ours."""
        options: dict[str, Any] = {"add_help": False, "allow_abbrev": False}
        base = super().create_parser(prog_name, subcommand, **kwargs, **options)
        return _Parser(prog=base.prog, parents=[base], **options)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """What `manage.py help stigg_guard` shows."""
        self._main(["--help"], f"{prog_name} {subcommand}")

    def handle(self, *args: str, **options: Any) -> None:
        """Run the command that the arguments name."""
        with ExitStack() as stack:
            if options.get("stdout") is not None:
                stack.enter_context(redirect_stdout(options["stdout"]))
            if options.get("stderr") is not None:
                stack.enter_context(redirect_stderr(options["stderr"]))
            self._main(args, "manage.py stigg_guard")

    def _main(self, arguments: Sequence[str], program: str) -> None:
        try:
            require("click", extra="local", needed_by=program)
        except ImportError as error:
            raise Error(str(error), returncode=2) from error
        import click

        from stigg_guard.commands.failure import is_help

        try:
            status = _commands().main([*arguments], program, standalone_mode=False)
        except click.ClickException as error:
            if is_help(error):
                click.echo(error.format_message(), err=True)
                raise SystemExit(error.exit_code) from error
            raise Error(error.format_message(), returncode=error.exit_code) from error
        except click.Abort as error:
            raise Error("Broken off.", returncode=1) from error
        if isinstance(status, int) and status:  # it said all there is to say
            raise SystemExit(status)


class _Parser(CommandParser):
    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: None = None
    ) -> Namespace:
        found, rest = self.parse_known_args(args)
        found.args = rest
        return found


def _commands() -> click.Group:
    """Every command there is under `manage.py stigg_guard`."""
    from stigg_guard.commands.failure import Group
    from stigg_guard.commands.group import commands_on
    from stigg_guard.commands.routes import routes_command
    from stigg_guard.commands.source import Source
    from stigg_guard_django.routes import routes_of

    source = Source(
        guard=lambda: project_guards().sync,
        outbox_cure=f'set {SETTING}["OUTBOX"] in the Django settings.',
        is_django=True,
        findings=_findings,
    )
    return Group(
        "stigg_guard",
        commands=[*commands_on(source), routes_command(lambda: list(routes_of()))],
        help=Command.help,
        epilog=(
            "Django's own options, such as --settings and --traceback, may stand"
            " anywhere."
        ),
    )


def _findings() -> Iterator[Finding]:
    """What `doctor` tells of the project: what its system checks say."""
    from django.core.checks import ERROR, WARNING

    from stigg_guard.commands.finding import Finding
    from stigg_guard_django.checks import wiring_messages

    messages = wiring_messages()
    for message in messages:
        is_wrong = message.level >= WARNING
        yield Finding(
            level="fail" if message.level >= ERROR else "warn" if is_wrong else "ok",
            about="wiring",
            words=f"{message.id}: {message.msg}",
            cure=str(message.hint or ""),
        )
    if not messages:
        yield Finding(level="ok", about="wiring", words="its system checks pass")
