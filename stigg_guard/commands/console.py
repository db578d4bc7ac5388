"""The console's commands: `stigg-guard outbox`, and those of the local sidecar.

Options and the environment say which outbox and which sidecar are meant.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from sidecar_client.local.extra import require_extra
from stigg_guard.commands.doctor import doctor
from stigg_guard.commands.failure import Group
from stigg_guard.commands.group import HELP, TALKING, with_commands
from stigg_guard.commands.reach import (
    DEFAULT_TARGET,
    HINT,
    ROOT_CERTIFICATES,
    TARGET,
    TIMEOUT,
    reach_of,
    with_options,
)
from stigg_guard.commands.routes import routes_of_app
from stigg_guard.commands.source import Source, placed
from stigg_guard.errors import ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.settings import ENVIRONMENT_PREFIX, Settings

# What only views need: naming code of the application, which need not be here.
_OF_VIEWS: Final = frozenset({"CUSTOMER", "RULES", "ON_DENIED"})
_OPTIONS: Final[Mapping[str, str]] = {
    "OUTBOX": "--location",
    "TARGET": "--target",
    "HOLDS": "--holds",
    "ROOT_CERTIFICATES": "--root-certificates",
}


class _Console(click.Group):
    """Commands of the local sidecar are looked up when asked for: they need more."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_of_sidecar().list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        return found or _of_sidecar().get_command(ctx, cmd_name)


def _of_sidecar() -> click.Group:
    require_extra()
    from sidecar_client.local.command import stigg_guard

    return stigg_guard


@click.group(cls=_Console)
@click.version_option(package_name="stigg-guard")
def console() -> None:
    """Guard and meter web views with Stigg entitlements."""


@click.group(cls=Group, help=HELP)
@click.option(
    "--location",
    metavar="PLACE",
    help="Where it is: a path, or a Redis. [STIGG_GUARD_OUTBOX]",
)
@click.option(
    "--target",
    metavar="HOST:PORT",
    help="The sidecar to deliver to. [STIGG_GUARD_TARGET]",
)
@click.option(
    "--holds",
    metavar="PLACE",
    help="Where the application holds units: memory, or a Redis. [STIGG_GUARD_HOLDS]",
)
@click.pass_context
def outbox(
    context: click.Context,
    *,
    location: str | None,
    target: str | None,
    holds: str | None,
) -> None:
    given = {"OUTBOX": location, "TARGET": target, "HOLDS": holds}
    options = {name: value for name, value in given.items() if value is not None}
    context.obj = _source(options)


def _source(
    options: Mapping[str, str], *, patience: float | None = None, hint: str = ""
) -> Source:
    context = click.get_current_context()
    return Source(
        guard=lambda: _guard(context, options),
        outbox_cure="give --location, or set STIGG_GUARD_OUTBOX in the environment.",
        target_cure=(
            None
            if _is_named(options)
            else "give --target, or set STIGG_GUARD_TARGET in the environment."
        ),
        patience=patience,
        hint=hint,
    )


def _is_named(options: Mapping[str, str]) -> bool:
    return "TARGET" in options or f"{ENVIRONMENT_PREFIX}TARGET" in os.environ


def _talking(command: click.Command) -> click.Command:
    """A command that asks the local sidecar where nobody names another."""

    def source() -> Source:
        # What is amiss is told by the command; once is enough.
        logging.getLogger("stigg_guard").addHandler(logging.NullHandler())
        reach = reach_of(click.get_current_context())
        if _is_named(reach.options):
            return _source(reach.options, patience=reach.patience)
        options = {**reach.options, "TARGET": DEFAULT_TARGET}
        return _source(options, patience=reach.patience, hint=HINT)

    return with_options(placed(command, source), TARGET, TIMEOUT, ROOT_CERTIFICATES)


def _alone(command: click.Command) -> click.Command:
    """A command whose sidecar is named by an option, or by the environment."""

    def source() -> Source:
        return _source(reach_of(click.get_current_context()).options)

    return with_options(placed(command, source), TARGET, ROOT_CERTIFICATES)


def _guard(context: click.Context, options: Mapping[str, str]) -> Guard:
    """A guard of this command's own, closed with it."""
    folder = os.getcwd()
    if folder not in sys.path:  # hooks, and outboxes of the application's own
        sys.path.insert(0, folder)
    guard = Guard(_settings(options))
    context.call_on_close(guard.close)
    return guard


def _settings(options: Mapping[str, str]) -> Settings:
    unused = {ENVIRONMENT_PREFIX + name for name in _OF_VIEWS}
    if options.get("TARGET", "local") != "local":
        unused.add(f"{ENVIRONMENT_PREFIX}CATALOG")  # of the sidecar named there
    environ = {name: text for name, text in os.environ.items() if name not in unused}
    environ |= {ENVIRONMENT_PREFIX + name: text for name, text in options.items()}
    try:
        return Settings.from_env(environ)
    except ConfigurationError as error:
        text = str(error)
        for name in options:
            text = text.replace(ENVIRONMENT_PREFIX + name, _OPTIONS[name])
        raise ConfigurationError(text) from error


console.add_command(with_commands(outbox))
console.add_command(routes_of_app)
console.add_command(_alone(doctor))
for _command in TALKING:
    console.add_command(_talking(_command))


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line."""
    return console.main(arguments, prog_name="stigg-guard")
