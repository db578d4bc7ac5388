"""How the console reaches a sidecar: --target, --timeout and --root-certificates.

What is asked there is the commands'; projects and applications have settings for this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import click

from sidecar_client.options import LOCAL_PORT, LONGEST_SECONDS
from stigg_guard.commands.seconds import Seconds

DEFAULT_TARGET: Final = f"127.0.0.1:{LOCAL_PORT}"
HINT: Final = (
    f" No sidecar was named, so the local one on {DEFAULT_TARGET} was asked:"
    " `stigg-guard sidecar run` starts it; --target, or STIGG_GUARD_TARGET in the"
    " environment, names another."
)
_META: Final = "stigg_guard.reach."


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What was typed about the sidecar, as settings, and how long to wait for it."""

    options: Mapping[str, str]
    patience: float | None


def reach_of(context: click.Context) -> Reach:
    """What a command's options say; what was not given is left out."""
    given = {
        name: context.meta.get(_META + name.lower())
        for name in ("TARGET", "ROOT_CERTIFICATES")
    }
    return Reach(
        options={name: text for name, text in given.items() if text is not None},
        patience=context.meta.get(f"{_META}timeout"),
    )


def with_options(command: click.Command, *options: click.Option) -> click.Command:
    """The command, which is one's own, with options about the sidecar."""
    command.params = [*command.params, *options]
    return command


def _note(context: click.Context, option: click.Parameter, value: object) -> None:
    context.meta[f"{_META}{option.name}"] = value


def _option(name: str, **more: Any) -> click.Option:
    return click.Option([name], expose_value=False, callback=_note, **more)


TARGET: Final = _option(
    "--target",
    metavar="HOST:PORT",
    help="The sidecar to ask. [STIGG_GUARD_TARGET]",
)
TIMEOUT: Final = _option(
    "--timeout",
    type=Seconds(min=0, min_open=True, max=LONGEST_SECONDS),
    metavar="SECONDS",
    help="How long to wait for an answer. [default: 5]",
)
ROOT_CERTIFICATES: Final = _option(
    "--root-certificates",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Speak TLS, and trust these PEM roots. [STIGG_GUARD_ROOT_CERTIFICATES]",
)
