"""What the examples run on: a directory each, with Revvenu's database in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.example.application import PYTHON, run


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Revvenu's database as `manage.py migrate` makes it."""
    home = tmp_path_factory.mktemp("migrated")
    made = run([PYTHON, "example_project/manage.py", "migrate"], home)
    assert made.returncode == 0, made.stderr
    return home / "revvenu.sqlite3"


@pytest.fixture
def home(tmp_path: Path, migrated: Path) -> Path:
    """A directory of its own, with a fresh database."""
    shutil.copy(migrated, tmp_path)
    return tmp_path
