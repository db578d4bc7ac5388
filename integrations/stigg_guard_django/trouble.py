"""What a database says when an outbox cannot work, as an error that names the cure.

Which queries are asked is `outbox`'s.
"""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.transaction import TransactionManagementError
from django.db.utils import Error
from django.utils.connection import ConnectionDoesNotExist

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import OutboxUnavailable


def check_database(alias: str) -> None:
    """Raise `ConfigurationError` when no database has this alias; nothing connects."""
    try:
        vendor: str = connections[alias].vendor
    except (ConnectionDoesNotExist, ImproperlyConfigured) as error:
        raise ConfigurationError(
            f'The outbox cannot use the Django database "{alias}": {error}'
        ) from error
    if vendor == "unknown":
        raise ConfigurationError(
            f'The outbox cannot use the Django database "{alias}": DATABASES in the'
            " Django settings has no engine for it. Set one, or use another outbox."
        )


def unavailable(doing: str, alias: str, error: Error) -> OutboxUnavailable:
    """The error to raise for one of a database."""
    cause = " ".join(str(error).split()).rstrip(".")
    return OutboxUnavailable(
        f'The outbox in the Django database "{alias}" cannot {doing}:'
        f" {type(error).__name__}: {cause}. {_cure(error, alias)}"
    )


def _cure(error: Error, alias: str) -> str:
    if isinstance(error, TransactionManagementError):
        return (
            "The transaction around it failed before and is rolled back, and what was"
            " measured in it did not happen; report usage where the work is done again."
        )
    if _is_unmigrated(error):
        option = "" if alias == "default" else f" --database {alias}"
        return f'Run "manage.py migrate stigg_guard{option}".'
    if "database is locked" in str(error):
        return (
            "Another process writes for long; raise the timeout in OPTIONS of"
            f' DATABASES["{alias}"].'
        )
    return (
        f'Look at the database and at DATABASES["{alias}"]; it is used again as soon as'
        " it answers."
    )


def needs_a_person(error: BaseException | None) -> bool:
    """Whether it stays as it is until somebody changes settings or migrates."""
    if not isinstance(error, Error):
        return False
    is_refused = bool(error.args) and error.args[0] in (1044, 1045, 1049)
    return is_refused or _is_unmigrated(error) or bool(_REFUSAL.search(str(error)))


def is_deadlock(error: BaseException | None) -> bool:
    """Whether a transaction was ended for the sake of others, and may be done again."""
    if not isinstance(error, Error):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state in ("40P01", "40001") or error.args[:1] == (1213,)


def _is_unmigrated(error: Error) -> bool:
    """Whether a table or column is missing, in the words of each database."""
    cause: Any = error.__cause__
    if getattr(cause, "sqlstate", None) in ("42P01", "42703"):
        return True
    if error.args and error.args[0] in (1054, 1146):
        return True
    return "no such table" in str(error) or "no such column" in str(error)


# PostgreSQL's, which has no code for what fails while it connects.
_REFUSAL: Final = re.compile(
    r'authentication failed|(database|role) ".*" does not exist'
)
