"""`outbox run`: delivers in a process of its own, until it is told to end.

The work itself is `delivery`'s.
"""

from __future__ import annotations

from typing import Final

import click

from stigg_guard.commands.delivery import Delivery, Plan
from stigg_guard.commands.failure import Command, Failure, Undone
from stigg_guard.commands.progress import Progress, log_shown
from stigg_guard.commands.seconds import Seconds
from stigg_guard.commands.source import Source, pass_source
from stigg_guard.commands.stopping import Overdue, Stop
from stigg_guard.settings import Settings

_DRAIN: Final = 60.0
_SECONDS: Final = Seconds(min=0.01, max=86_400)


@click.command(cls=Command)
@click.option("--once", is_flag=True, help="End after one step.")
@click.option("--drain", is_flag=True, help="End when nothing is left to send.")
@click.option(
    "--poll",
    type=_SECONDS,
    default=0.5,
    show_default=True,
    metavar="SECONDS",
    help="How often to look when there is nothing to do.",
)
@click.option(
    "--timeout",
    type=_SECONDS,
    metavar="SECONDS",
    help="How long --drain may take: 60, unless said otherwise.",
)
@pass_source
def run(
    source: Source, *, once: bool, drain: bool, poll: float, timeout: float | None
) -> None:
    """Deliver what waits, until Ctrl-C or SIGTERM.

    Any number of these may run at once. The exit status is 1 when --drain left
    something behind, or --once failed.
    """
    if once and drain:
        raise Failure("--once and --drain were given; use one of them.")
    if timeout is not None and not drain:
        raise Failure(f"--timeout {timeout:g} was given without --drain; add --drain.")
    plan = Plan(once=once, drain=drain, poll=poll, timeout=timeout or _DRAIN)
    source.check_target()
    stop = Stop()
    with stop.on_signals():
        _run(source, plan, stop)


def _run(source: Source, plan: Plan, stop: Stop) -> None:
    guard = source.opened(is_made=True)
    progress = Progress()
    where, sidecar = guard.outbox.location, _sidecar(guard.settings)
    progress.say(f"Delivering the outbox in {where} to {sidecar}.")
    with log_shown(progress):
        delivery = Delivery(guard, plan, progress=progress, stop=stop)
        try:
            undone = delivery.run()
        except Overdue:
            undone = (
                "the step under way did not end within seconds and was broken off;"
                " what it was about is taken up again."
            )
        progress.say(delivery.summary())
    if undone is not None:
        raise Undone(undone)


def _sidecar(settings: Settings) -> str:
    if settings.target == "local":
        return f"a local sidecar on port {settings.local_port}"
    return f"the sidecar at {settings.target}"
