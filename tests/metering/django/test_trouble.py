"""What is said when the database cannot be used, and that it is used again later."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from django.apps import apps
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections, transaction
from django.test import override_settings

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.base import Delivered, OutboxUnavailable
from stigg_guard_django.models import OutboxRow
from stigg_guard_django.outbox import DjangoOutbox
from tests.databases import DatabaseServer, MariaDB, PostgreSQL, running
from tests.metering.django.elsewhere import elsewhere
from tests.metering.django.samples import event, stored
from tests.metering.django.site import added, sqlite

MIGRATE = r"manage\.py migrate"
EVERY_CALL: dict[str, Callable[[DjangoOutbox], object]] = {
    "put": lambda outbox: outbox.put([event("a")]),
    "claim": lambda outbox: outbox.claim("w", most=1, lease=1),
    "extend": lambda outbox: outbox.extend("w", ["1"], lease=1),
    "finish": lambda outbox: outbox.finish("w", [Delivered(id="1")]),
    "rows": lambda outbox: outbox.rows(),
    "find": lambda outbox: outbox.find(["a"]),
    "retry": lambda outbox: outbox.retry(),
    "discard": lambda outbox: outbox.discard(["1"]),
    "status": lambda outbox: outbox.status(),
    "waiting": lambda outbox: list(outbox.waiting()),
}


@pytest.fixture
def bare(alias: str) -> Iterator[str]:
    """A database that was not migrated."""
    call_command("migrate", "stigg_guard", "zero", database=alias, verbosity=0)
    yield alias
    call_command("migrate", "stigg_guard", database=alias, verbosity=0)


def test_missing_tables_are_told_with_the_command_to_run(bare: str) -> None:
    outbox = DjangoOutbox(bare)
    for name, call in EVERY_CALL.items():
        with pytest.raises(OutboxUnavailable, match=MIGRATE) as error:
            call(outbox)
        assert f'database "{bare}" cannot' in str(error.value), name
        assert f"--database {bare}" in str(error.value)
    with pytest.raises(ConfigurationError, match=MIGRATE):
        outbox.check()


def test_outbox_that_is_there_passes_the_check(outbox: DjangoOutbox) -> None:
    outbox.check()


@pytest.fixture(params=[PostgreSQL, MariaDB], ids=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[DatabaseServer]:
    """A server of this test's own."""
    with running(request.param) as server:
        yield server
    # What PyMySQL leaves behind ends here, not in another test.
    gc.collect()


# PyMySQL leaves the socket of an attempt that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_server_that_ends_is_used_again_when_it_is_back(server: DatabaseServer) -> None:
    with added("mortal", server.django):
        call_command("migrate", "stigg_guard", database="mortal", verbosity=0)
        outbox = DjangoOutbox("mortal")
        outbox.put([event("a")])
        server.end()
        for call in EVERY_CALL.values():
            with pytest.raises(OutboxUnavailable, match="Look at the database"):
                call(outbox)
        with pytest.raises(OutboxUnavailable):
            outbox.check()
        server.start()
        outbox.put([event("b")])
        assert stored(outbox) == ["a", "b"]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_wrong_database_is_for_a_person_to_mend(
    kind: str, django_databases: Callable[[str], str]
) -> None:
    entry = {**connections.settings[django_databases(kind)], "NAME": "nowhere"}
    with added("wrong", entry), pytest.raises(ConfigurationError, match="nowhere"):
        DjangoOutbox("wrong").check()


def test_database_that_another_process_locks_is_told(tmp_path: Path) -> None:
    entry = {**sqlite(tmp_path), "OPTIONS": {"timeout": 0.05}}
    with added("locked", entry):
        call_command("migrate", "stigg_guard", database="locked", verbosity=0)
        outbox = DjangoOutbox("locked")
        with transaction.atomic(using="locked"):
            outbox.put([event("a")])
            for name in ("put", "claim", "finish", "discard"):
                with pytest.raises(OutboxUnavailable, match="raise the timeout"):
                    elsewhere(partial(EVERY_CALL[name], outbox))
        assert stored(outbox) == ["a"]


def test_alias_of_no_database_is_refused() -> None:
    with pytest.raises(ConfigurationError, match='database "elsewhere"'):
        DjangoOutbox("elsewhere")


class Router:
    """Keeps the outbox in a database of its own."""

    def db_for_write(self, model: type[object], **hints: object) -> str | None:
        return "apart" if model is OutboxRow else None


def test_router_chooses_the_database(tmp_path: Path) -> None:
    with (
        added("apart", sqlite(tmp_path)),
        override_settings(DATABASE_ROUTERS=[Router()]),
    ):
        assert DjangoOutbox().alias == "apart"
    assert DjangoOutbox().alias == "default"


def run_django(code: str, **settings: object) -> str:
    """What a new process prints, in a project with these settings."""
    options = {"SECRET_KEY": "for tests", "INSTALLED_APPS": ["stigg_guard_django"]}
    setup = (
        "import django; from django.conf import settings;"
        f"settings.configure(**{options | settings!r}); django.setup();"
    )
    command = [sys.executable, "-c", setup + code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_project_without_a_database_can_guard_but_has_no_outbox() -> None:
    printed = run_django(
        "import stigg_guard_django.models, stigg_guard_django.views;"
        "from django.core.management import call_command; call_command('check');"
        "from stigg_guard_django.outbox import DjangoOutbox\n"
        "try: DjangoOutbox()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    assert "no issues" in printed
    assert "ConfigurationError" in printed
    assert "has no engine" in printed


@pytest.mark.parametrize("auto_field", ["AutoField", "BigAutoField"])
def test_migrations_say_all_of_the_models(tmp_path: Path, auto_field: str) -> None:
    printed = run_django(
        "from django.core.management import call_command;"
        "call_command('makemigrations', check_changes=True)",
        DATABASES={"default": sqlite(tmp_path)},
        DEFAULT_AUTO_FIELD=f"django.db.models.{auto_field}",
    )
    assert "No changes detected" in printed


def test_no_database_warns_about_the_models(alias: str) -> None:
    config = apps.get_app_config("stigg_guard")
    assert run_checks(app_configs=[config], databases=[alias]) == []
