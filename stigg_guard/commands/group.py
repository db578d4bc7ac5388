"""The commands on a guard, and the group `outbox`, made for a front end.

What each command does is in the file of its name.
"""

from __future__ import annotations

from typing import Final

import click

from stigg_guard.commands.check import check
from stigg_guard.commands.discard import discard
from stigg_guard.commands.doctor import doctor
from stigg_guard.commands.entitlements import entitlements
from stigg_guard.commands.event import event
from stigg_guard.commands.export import export
from stigg_guard.commands.failure import Group
from stigg_guard.commands.listing import list_
from stigg_guard.commands.report import report
from stigg_guard.commands.retry import retry
from stigg_guard.commands.run import run
from stigg_guard.commands.source import Source, placed
from stigg_guard.commands.status import status
from stigg_guard.commands.usage import usage

HELP: Final = "Usage that waits to be delivered: deliver it, look at it, decide on it."
COMMANDS: Final[tuple[click.Command, ...]] = (
    run,
    status,
    list_,
    retry,
    discard,
    export,
)


TALKING: Final[tuple[click.Command, ...]] = (check, entitlements, usage, report, event)
"""Commands that talk to the sidecar."""


def commands_on(source: Source) -> list[click.Command]:
    """Every command on the guard of a front end."""
    alone = (placed(item, lambda: source) for item in (*TALKING, doctor))
    return [outbox_group(source), *alone]


def outbox_group(source: Source) -> click.Group:
    """`outbox`, on the guard of a front end."""

    @click.group("outbox", cls=Group, help=HELP)
    @click.pass_context
    def outbox(context: click.Context) -> None:
        context.obj = source

    return with_commands(outbox)


def with_commands(outbox: click.Group) -> click.Group:
    """The group with every command in it."""
    for command in COMMANDS:
        outbox.add_command(command)
    return outbox
