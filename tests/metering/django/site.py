"""Databases that are added to the Django project of the tests while they run."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from django.apps import apps
from django.core.management import call_command
from django.db import connections

from tests.databases import DatabaseServer, MariaDB, PostgreSQL, running
from tests.integrations import django_site

KINDS = ("sqlite", "postgresql", "mariadb")
_SERVERS: Mapping[str, type[DatabaseServer]] = {
    "postgresql": PostgreSQL,
    "mariadb": MariaDB,
}


def configure() -> None:
    """The project, with a driver for MariaDB."""
    import_module("pymysql").install_as_MySQLdb()
    django_site.configure()


@contextmanager
def database(kind: str, alias: str | None = None) -> Generator[str]:
    """The alias of a new database, on a server of its own, with the outbox's tables.

    It is the kind, unless another one is given: no two open databases may share one.
    """
    alias = alias or kind
    with ExitStack() as stack:
        if kind == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sqlite-"))
            entry = sqlite(Path(folder))
        else:
            entry = stack.enter_context(running(_SERVERS[kind])).django
        if kind == "mariadb":
            # Its pure driver connects slowly, and closes what a thread left open.
            entry["CONN_MAX_AGE"] = 60
        stack.enter_context(added(alias, entry))
        call_command("migrate", "stigg_guard", database=alias, verbosity=0)
        yield alias


@contextmanager
def connected(alias: str) -> Generator[str]:
    """One connection for all that tests do; what one stores is gone after it."""
    connections[alias].ensure_connection()
    yield alias
    for name in ("OutboxRow", "OutboxTally"):
        model = apps.get_model("stigg_guard", name)
        model._default_manager.using(alias).all().delete()


def sqlite(folder: Path) -> dict[str, object]:
    """An entry of DATABASES for a file."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "db.sqlite3"),
        "OPTIONS": {"timeout": 30},
    }


@contextmanager
def added(alias: str, entry: Mapping[str, object]) -> Generator[None]:
    """Give the project one more database."""
    configure()
    assert alias not in connections.settings, f"{alias} is open already"
    default = connections.settings["default"]
    made = connections.configure_settings({"default": default, alias: dict(entry)})
    connections.settings[alias] = made[alias]
    try:
        yield
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]
