"""How one report is sent to the sidecar, and how it is told that it was not taken.

What is reported is said in `report` and `event`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from stigg_guard.commands.failure import Alarm, Failure, Undone
from stigg_guard.commands.source import Source
from stigg_guard.errors import SidecarError, SidecarRejected

_Response = TypeVar("_Response")


def sent(
    call: Callable[[], _Response],
    source: Source,
    *,
    told: Callable[[SidecarError], str] | None = None,
) -> _Response:
    """The sidecar's acknowledgement.

    Without one, a `Failure`: status 2 for what cannot be, 1 for what the sidecar will
    not take, 3 where it did not answer. `told` is printed before.
    """
    try:
        return call()
    except SidecarError as error:
        if told is not None:
            click.echo(told(error))
        raise _end(error, source) from error
    except ValueError as error:
        raise Failure(f"It cannot be sent: {error}") from error


def error_as_json(error: SidecarError) -> Mapping[str, object]:
    """Why there is no acknowledgement."""
    return {
        "code": error.code,
        "cause": error.cause,
        "may_have_arrived": error.may_have_arrived,
    }


def _end(error: SidecarError, source: Source) -> Failure:
    if isinstance(error, SidecarRejected):
        kind = Failure if error.code == "INVALID_ARGUMENT" else Undone
        return kind(f"The sidecar refused it: {error}.")
    if error.may_have_arrived:
        advice = "it may have arrived, so look before you send it again"
    else:
        advice = "it did not arrive, so it can be sent again"
    return Alarm(f"There is no acknowledgement: {error}; {advice}.{source.hint}")
