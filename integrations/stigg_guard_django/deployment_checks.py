"""What is told of settings that are right for development, and not where people come.

When it is told is said in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.core import checks
from django.core.checks import CheckMessage
from django.db import connections
from django.db.utils import Error

from stigg_guard import Settings
from stigg_guard.exposure import is_exposed
from stigg_guard.metering.outbox.locations import DJANGO
from stigg_guard.metering.worker_count import configured_workers
from stigg_guard.requirement import leaves
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import SETTING

_OUTBOXES: Final = ("django", DJANGO)


def deployment_messages(
    settings: Settings, specs: Sequence[ViewSpec]
) -> Iterator[CheckMessage]:
    """W002, W004 and W005."""
    if settings.target == "local":
        yield checks.Warning(
            f'{SETTING}["TARGET"] is "local" while DEBUG is False: customers are judged'
            " by a sidecar for development.",
            hint='Set the address of your sidecar, such as "localhost:80".',
            id="stigg_guard.W002",
        )
    if is_exposed(settings):
        yield checks.Warning(
            f'{SETTING}["TARGET"] is "{settings.target}", another host, and it is asked'
            " without TLS: who reads that network sees your customers' ids and usage.",
            hint="Run the sidecar beside the application, or set"
            f' {SETTING}["ROOT_CERTIFICATES"].',
            id="stigg_guard.W004",
        )
    workers = configured_workers()
    is_shared = workers is not None and workers.processes > 1
    if workers and is_shared and settings.holds == "memory" and _meters(specs):
        yield checks.Warning(
            f'{SETTING}["HOLDS"] is "memory", and {workers.written_in} says'
            f" {workers.processes} processes: together they may grant"
            f" {workers.processes} times a limit.",
            hint=f'Set {SETTING}["HOLDS"] to the URL of a Redis.',
            id="stigg_guard.W005",
        )


def _meters(specs: Sequence[ViewSpec]) -> bool:
    return any(
        need.metering is not None for spec in specs for need in leaves(spec.need)
    )


def outbox_messages(
    settings: Settings, databases: Iterable[str]
) -> Iterator[CheckMessage]:
    """W006: the outbox's table is missing; asked of a database that is looked at."""
    if settings.outbox not in _OUTBOXES:
        return
    from stigg_guard_django.models import OutboxRow
    from stigg_guard_django.outbox import DjangoOutbox

    alias, table = DjangoOutbox().alias, OutboxRow._meta.db_table
    if alias not in databases:
        return
    if table not in _tables_of(alias):
        option = "" if alias == "default" else f" --database {alias}"
        yield checks.Warning(  # an error would stop `migrate`
            f'{SETTING}["OUTBOX"] is "{settings.outbox}", and the database "{alias}"'
            f' has no table "{table}": metered requests fail.',
            hint=f'Run "manage.py migrate stigg_guard{option}".',
            id="stigg_guard.W006",
        )


def _tables_of(alias: str) -> Iterable[str]:
    """The tables of a database; our own stands for all of one that is not there."""
    from stigg_guard_django.models import OutboxRow

    try:
        return connections[alias].introspection.table_names()
    except Error:
        return (OutboxRow._meta.db_table,)
