"""What `doctor` finds of holds and outbox: whether they can be used, and what waits.

The sidecar is looked at in `sidecar_findings`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

from stigg_guard.commands.finding import CUSTOMER, FEATURE, Finding
from stigg_guard.commands.words import age, counted
from stigg_guard.errors import ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.metering.holds.base import HoldsUnavailable, Peek, Place
from stigg_guard.metering.outbox.base import Outbox, OutboxUnavailable
from stigg_guard.metering.outbox.row import Status
from stigg_guard.metering.worker_count import configured_workers
from stigg_guard.settings import Settings

_OLD: Final = 300.0
"""Seconds that usage may wait before that is a warning."""


def of_holds(guard: Guard) -> Iterator[Finding]:
    """Where units are held, and whether that is one place for all processes."""
    settings = guard.settings
    if settings.holds == "memory":
        yield _memory_holds()
        return
    try:
        _ask_redis(settings)
        yield Finding(level="ok", about="holds", words="the Redis answers")
    except (ConfigurationError, HoldsUnavailable, ImportError) as error:
        yield Finding(
            level="fail",
            about="holds",
            words=str(error),
            cure="Until then holds are as HOLDS_ON_UNAVAILABLE says:"
            f" {settings.holds_on_unavailable}.",
        )


def _ask_redis(settings: Settings) -> None:
    """Ask the store itself, for which nothing stands in here."""
    from stigg_guard.metering.holds.redis import RedisHolds

    place = Place(CUSTOMER, None, FEATURE)
    store = RedisHolds(settings.holds, prefix=settings.redis_prefix)
    try:
        store.perform(Peek(place=place))
    finally:
        store.close()


def _memory_holds() -> Finding:
    workers = configured_workers()
    if workers is None or workers.processes < 2:
        words = '"memory": right for one process alone'
        return Finding(level="ok", about="holds", words=words)
    return Finding(
        level="warn",
        about="holds",
        words=f'"memory", and {workers.written_in} says {workers.processes} processes:'
        f" together they may grant {workers.processes} times a limit",
        cure="Set HOLDS to the URL of a Redis.",
    )


def of_outbox(guard: Guard) -> Iterator[Finding]:
    """Whether usage that is not acknowledged is safe, and what waits."""
    if guard.settings.outbox is None:
        yield Finding(
            level="warn",
            about="outbox",
            words="none: usage that is not acknowledged is lost with the process",
            cure='Set OUTBOX to a path, a Redis or, in Django, to "django".',
        )
        return
    try:
        outbox = guard.outbox
        if os.path.isabs(outbox.location) and not os.path.lexists(outbox.location):
            yield from _unmade(outbox.location)
            return
        outbox.check()
        outbox.claim(CUSTOMER, most=0, lease=1)  # it has to write for that
        yield from _waiting(outbox, outbox.status())
    except (ConfigurationError, OutboxUnavailable, ImportError) as error:
        yield Finding(level="fail", about="outbox", words=str(error))


def _unmade(path: str) -> Iterator[Finding]:
    """An outbox whose file is made when something is stored."""
    folder = os.path.dirname(path)
    if os.access(folder, os.W_OK):
        words = f"{path} is made when something is stored"
        yield Finding(level="ok", about="outbox", words=words)
        return
    is_there = "cannot be written to" if os.path.isdir(folder) else "is not there"
    yield Finding(
        level="fail",
        about="outbox",
        words=f"{path} cannot be made: the folder {is_there}",
        cure=f"Make {folder}, and let this user write to it.",
    )


def _waiting(outbox: Outbox, found: Status) -> Iterator[Finding]:
    waits = 0.0 if found.oldest_at is None else time.time() - found.oldest_at
    words = f"{outbox.location}: {counted(found.pending, 'row')} pending"
    if found.oldest_at is not None:
        words += f", the oldest for {age(waits)}"
    if waits > _OLD:
        yield Finding(
            level="warn",
            about="outbox",
            words=words,
            cure="Look whether the sidecar takes reports, and whether anything delivers"
            " (`outbox run`, or OUTBOX_WORKER).",
        )
    else:
        yield Finding(level="ok", about="outbox", words=words)
    if found.parked:
        yield Finding(
            level="warn",
            about="outbox",
            words=f"{counted(found.parked, 'row')} parked until a person decides",
            cure="Look at `outbox list --state parked`; then `retry` or `discard`.",
        )
