"""The place of an outbox in a setting: which store it names, and what it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stigg_guard.errors import ConfigurationError
from stigg_guard.metering.outbox.locations import open_outbox
from stigg_guard.metering.outbox.memory import MemoryOutbox
from stigg_guard.metering.outbox.redis import RedisOutbox
from stigg_guard.metering.outbox.sqlite import SqliteOutbox


class OwnOutbox(MemoryOutbox):
    """An outbox of the application's own."""


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("/var/lib/app/outbox.db", "/var/lib/app/outbox.db"),
        (Path("/var/lib/app/outbox"), "/var/lib/app/outbox"),
        ("sqlite:///var/lib/app/outbox.db", "/var/lib/app/outbox.db"),
        ("sqlite:/var/lib/app/outbox.db", "/var/lib/app/outbox.db"),
        ("sqlite:usage", "{here}/usage"),
        ("sqlite:var/outbox.db", "{here}/var/outbox.db"),
        ("outbox.db", "{here}/outbox.db"),
        ("./outbox", "{here}/outbox"),
        ("var/outbox.sqlite3", "{here}/var/outbox.sqlite3"),
    ],
)
def test_path_is_a_sqlite_file(location: str | Path, path: str, tmp_path: Path) -> None:
    outbox = open_outbox(location)
    assert isinstance(outbox, SqliteOutbox)
    assert outbox.location == path.format(here=tmp_path)


def test_memory_is_a_place() -> None:
    assert isinstance(open_outbox("memory:"), MemoryOutbox)


@pytest.mark.parametrize(
    "location",
    [
        "redis://127.0.0.1:1/0",
        "rediss://127.0.0.1:1/0",
        "unix:///run/none.sock",
        "redis+sentinel://127.0.0.1:1/service/0",
        "rediss+sentinel://127.0.0.1:1/service/0",
        "redis+cluster://127.0.0.1:1",
    ],
)
def test_redis_is_a_place_that_is_not_reached_yet(location: str) -> None:
    outbox = open_outbox(location)
    assert isinstance(outbox, RedisOutbox)


@pytest.mark.parametrize("separator", [".", ":"])
def test_class_is_named_with_its_module(separator: str) -> None:
    outbox = open_outbox(f"{__name__}{separator}OwnOutbox")
    assert type(outbox).__name__ == "OwnOutbox"


def test_options_are_the_stores(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="synchronous is 'off'"):
        open_outbox(tmp_path / "outbox.db", synchronous="off")


def test_django_is_found_by_its_name(tmp_path: Path) -> None:
    program = (
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['stigg_guard_django'], DATABASES="
        "{'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}})\n"
        "django.setup()\n"
        "from stigg_guard.metering.outbox.locations import open_outbox\n"
        "print(type(open_outbox('django')).__qualname__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "DjangoOutbox", done.stderr


@pytest.mark.parametrize(
    "location",
    [
        *("", "  ", "outbox", "djanog", "memory", ":memory:"),
        *("postgres://127.0.0.1/usage", "file:outbox.db", "Redis://127.0.0.1"),
    ],
)
def test_what_names_no_store_is_refused(location: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_outbox(location)
    assert f"The outbox location is {location!r}; use a path such as" in str(
        caught.value
    )


@pytest.mark.parametrize("location", ["sqlite:", "sqlite://", "sqlite://host/path"])
def test_sqlite_address_without_a_path_is_refused(location: str) -> None:
    with pytest.raises(ConfigurationError, match="write sqlite:///absolute/path"):
        open_outbox(location)


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="The outbox location is 17; use a"):
        open_outbox(17)  # type: ignore[arg-type]  # pyright: ignore


@pytest.mark.parametrize("location", ["no_such.module.Outbox", "os.NoSuchOutbox"])
def test_class_that_cannot_be_imported_is_named(location: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_outbox(location)
    assert f"The outbox {location!r} cannot be imported: " in str(caught.value)


@pytest.mark.parametrize("location", ["collections.Counter", "logging.Logger"])
def test_class_that_is_no_outbox_is_refused(location: str) -> None:
    with pytest.raises(ConfigurationError, match="name a subclass of"):
        open_outbox(location)


def test_store_that_is_not_asked_for_is_not_imported() -> None:
    program = (
        "import sys; from stigg_guard.metering.outbox.locations import open_outbox\n"
        "open_outbox('memory:'); print(*(set(sys.modules)"
        " & {'redis', 'sqlite3', 'django', 'stigg_guard_django'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
