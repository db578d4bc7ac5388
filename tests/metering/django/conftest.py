"""An outbox on each database in turn, emptied after each test, with a clock to set."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.metering.django.site import KINDS, configure, connected

configure()

from stigg_guard_django.outbox import DjangoOutbox  # noqa: E402  # set up above


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=KINDS)
def alias(
    request: pytest.FixtureRequest, django_databases: Callable[[str], str]
) -> Iterator[str]:
    """A database with empty tables."""
    with connected(django_databases(request.param)) as alias:
        yield alias


@pytest.fixture
def outbox(alias: str, clock: Clock) -> DjangoOutbox:
    return DjangoOutbox(alias, clock=clock)
