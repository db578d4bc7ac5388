"""The console's commands: `stigg-guard outbox`, and those of the local sidecar.

Options and the environment say which outbox and which sidecar are meant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, Final

import click

from sidecar_client.local.extra import require_extra
from stigg_guard.commands.failure import Group
from stigg_guard.commands.group import ASKING, HELP, with_commands
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


def _source(options: Mapping[str, str]) -> Source:
    context = click.get_current_context()
    is_named = "TARGET" in options or f"{ENVIRONMENT_PREFIX}TARGET" in os.environ
    return Source(
        guard=lambda: _guard(context, options),
        outbox_cure="give --location, or set STIGG_GUARD_OUTBOX in the environment.",
        target_cure=(
            None
            if is_named
            else "give --target, or set STIGG_GUARD_TARGET in the environment."
        ),
    )


def _alone(command: click.Command) -> click.Command:
    """A command whose sidecar is named by an option, or by the environment."""

    def source() -> Source:
        target = click.get_current_context().meta.get(_TARGET)
        return _source({} if target is None else {"TARGET": target})

    found = placed(command, source)
    found.params = [*command.params, _TARGET_OPTION]
    return found


def _note_target(
    context: click.Context, _option: click.Parameter, target: str | None
) -> None:
    context.meta[_TARGET] = target


_TARGET: Final = "stigg_guard.target"
_TARGET_OPTION: Final = click.Option(
    ["--target"],
    metavar="HOST:PORT",
    help="The sidecar to ask. [STIGG_GUARD_TARGET]",
    expose_value=False,
    callback=_note_target,
)


def _guard(context: click.Context, options: Mapping[str, str]) -> Guard:
    """A guard of this command's own, closed with it."""
    folder = os.getcwd()
    if folder not in sys.path:  # hooks, and outboxes of the application's own
        sys.path.insert(0, folder)
    guard = Guard(_settings(options))
    context.call_on_close(guard.close)
    return guard


def _settings(options: Mapping[str, str]) -> Settings:
    views = {ENVIRONMENT_PREFIX + name for name in _OF_VIEWS}
    environ = {name: text for name, text in os.environ.items() if name not in views}
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
for _command in ASKING:
    console.add_command(_alone(_command))


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line."""
    return console.main(arguments, prog_name="stigg-guard")
