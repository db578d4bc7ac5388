"""Databases for the Django outbox: each server starts when a test first wants it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from tests.metering.django.site import database


@pytest.fixture(scope="session")
def django_databases() -> Iterator[Callable[[str], str]]:
    """The alias of a migrated "sqlite", "postgresql" or "mariadb", open to the end."""
    with ExitStack() as stack:

        @cache
        def alias_of(kind: str) -> str:
            return stack.enter_context(database(kind, f"shared_{kind}"))

        yield alias_of
