"""Usage and the transaction of the view that it meters: both stay, or neither."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings

from sidecar_client.local import LocalSidecar
from stigg_guard import Guard, Subject
from stigg_guard.metering.holds.base import Peek, Place, Standing
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard_django import guard_from, meters_usage
from tests.behaviour.routes import TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.django_site import configure, project
from tests.metering.django.site import database

configure()

from stigg_guard_django.models import (  # noqa: E402  # Django is set up above
    OutboxRow,
    OutboxTally,
)

CUSTOMER = {"X-Customer": WITHIN}
NUMBERS = count()
PLACE = Place(WITHIN, None, TEMPLATES)


class Undo(Exception):
    """Rolls a transaction back."""


class Router:
    """Everything of the outbox lives in the database of these tests."""

    alias: ClassVar = "transactions"

    def db_for_write(self, model: Any, **_: object) -> str | None:
        return self.alias if model in (OutboxRow, OutboxTally) else None

    db_for_read = db_for_write


@pytest.fixture(scope="module")
def alias() -> Iterator[str]:
    with database("sqlite", alias="transactions") as alias:
        yield alias


class Clock:
    """A clock that stands until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A project whose views write a row and are metered, and what came of that."""

    def __init__(self, alias: str, clock: Clock) -> None:
        self.alias = alias
        self.clock = clock
        self.guard: Guard = guard_from()
        self.guard.stores.memory = MemoryHolds(clock=clock)

    def work(self) -> None:
        OutboxTally.objects.using(self.alias).create(pk=1000 + next(NUMBERS))

    @property
    def works(self) -> int:
        return OutboxTally.objects.using(self.alias).filter(pk__gte=1000).count()

    @property
    def rows(self) -> list[str]:
        return [row.state for row in self.guard.outbox.rows()]

    @property
    def standing(self) -> Standing:
        found = self.guard.stores.perform(Peek(place=PLACE))
        assert isinstance(found, Standing)
        return found

    def deliver(self) -> None:
        while self.guard.stores.own_worker().step():
            pass


Build = Callable[..., Site]


@pytest.fixture
def build(alias: str, sidecar: LocalSidecar) -> Iterator[Build]:
    """Builds the project; its outbox is delivered when a test says so."""
    opened: list[Any] = []

    def make(*, atomic: bool = False, **options: Any) -> Site:
        connections.settings[alias]["ATOMIC_REQUESTS"] = atomic
        routed = override_settings(DATABASE_ROUTERS=[Router()])
        routed.enable()
        settings: dict[str, Any] = {
            "outbox": "django",
            "outbox_worker": False,
            **options,
        }
        laid = project(VIEWS, target=sidecar.target, **settings)
        laid.__enter__()
        opened[:] = [laid, routed]
        site = SITE[0] = Site(alias, Clock())
        return site

    yield make
    SITE[0].guard.close()
    laid, routed = opened
    laid.__exit__(None, None, None)
    routed.disable()
    for model in (OutboxRow, OutboxTally):
        model.objects.using(alias).all().delete()
    connections[alias].close()


SITE: list[Any] = [None]


@meters_usage(TEMPLATES)
def create(request: HttpRequest) -> HttpResponse:
    SITE[0].work()
    if "raise" in request.GET:
        raise Undo
    if "rollback" in request.GET:
        transaction.set_rollback(True, using=SITE[0].alias)
    return HttpResponse("created", status=int(request.GET.get("status", 201)))


def create_within(request: HttpRequest) -> HttpResponse:
    with transaction.atomic(using=SITE[0].alias):
        response = create(request)
        if "undo" in request.GET:
            raise Undo
    return response


@meters_usage(event="template.made")
def tell(request: HttpRequest) -> HttpResponse:
    SITE[0].work()
    if "raise" in request.GET:
        raise Undo
    return HttpResponse("told")


async def areport(request: HttpRequest) -> HttpResponse:
    block = transaction.atomic(using=SITE[0].alias)
    await sync_to_async(block.__enter__)()
    fate = await guard_from().aio.report(Subject(WITHIN), TEMPLATES)
    undo = (Undo, Undo(), None) if "undo" in request.GET else (None, None, None)
    await sync_to_async(block.__exit__)(*undo)
    return HttpResponse(fate)


VIEWS = {
    "new/": create,
    "within/": create_within,
    "event/": tell,
    "async/": areport,
}


def post(path: str) -> int:
    client = Client(headers=CUSTOMER, raise_request_exception=False)
    return client.post(path).status_code


def test_usage_is_stored_with_the_work_of_an_atomic_request(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build(atomic=True)
    assert post("/new/") == 201
    assert (site.works, site.rows) == (1, ["pending"])
    assert sidecar.calls["ReportUsage"] == 0
    site.deliver()
    assert used(sidecar, WITHIN) == 4
    assert sidecar.calls["ReportUsage"] == 1


def test_usage_is_rolled_back_with_the_work_of_an_atomic_request(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build(atomic=True)
    assert post("/new/?raise=1") == 500
    assert (site.works, site.rows, site.standing.held) == (0, [], 0)
    assert sidecar.calls["ReportUsage"] == 0


def test_failed_status_stores_no_usage(build: Build, sidecar: LocalSidecar) -> None:
    site = build(atomic=True)
    assert post("/new/?status=409") == 409
    assert (site.works, site.rows, site.standing.held) == (1, [], 0)


def test_view_that_marks_its_work_for_rollback_uses_nothing(
    build: Build, sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    site = build(atomic=True)
    with caplog.at_level(logging.WARNING, logger="stigg_guard"):
        assert post("/new/?rollback=1") == 201
    assert (site.works, site.rows, site.standing.held) == (0, [], 0)
    assert caplog.text == ""


def test_stored_usage_stays_held_until_it_is_delivered(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build()
    assert [post("/within/") for _ in range(4)] == [201, 201, 201, 402]
    assert (site.standing.held, site.standing.open) == (3, 0)
    site.clock.now += 3600
    assert post("/within/") == 402
    site.deliver()
    assert (site.standing.held, used(sidecar, WITHIN)) == (0, 6)


def test_transaction_around_the_view_takes_its_usage_back(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build()
    assert post("/within/?undo=1") == 500
    assert (site.works, site.rows) == (0, [])
    assert sidecar.calls["ReportUsage"] == 0
    # Nobody is told of a rollback: the units come back when their lease is over.
    assert site.standing.held == 1
    site.clock.now += 31
    assert site.standing.held == 0


def test_view_without_a_transaction_reports_directly(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build()
    assert post("/new/") == 201
    assert (site.rows, used(sidecar, WITHIN)) == ([], 4)


def test_event_commits_or_rolls_back_with_the_work(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build(atomic=True)
    assert post("/event/?raise=1") == 500
    assert site.rows == []
    assert post("/event/") == 200
    site.deliver()
    assert len(sidecar.events) == 1


def test_metered_block_and_report_follow_the_transaction_around_them(
    build: Build, sidecar: LocalSidecar
) -> None:
    site = build()
    for error in (Undo, None):
        with suppress(Undo), transaction.atomic(using=site.alias):
            with site.guard.metered(Subject(WITHIN), TEMPLATES):
                site.work()
            assert site.guard.report(Subject(WITHIN), TEMPLATES) == "stored"
            if error is not None:
                raise error
    assert (site.works, site.rows) == (1, ["pending"] * 2)
    assert sidecar.calls["ReportUsage"] == 0
    site.deliver()
    assert used(sidecar, WITHIN) == 5


def test_committed_usage_is_delivered_by_itself(
    build: Build, sidecar: LocalSidecar
) -> None:
    build(atomic=True, outbox_worker=True)
    assert post("/new/") == 201
    end = time.monotonic() + 20
    while used(sidecar, WITHIN) != 4:
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(("query", "rows"), [("", ["pending"]), ("?undo=1", [])])
async def test_async_view_follows_the_transaction_of_its_thread(
    build: Build, sidecar: LocalSidecar, query: str, rows: list[str]
) -> None:
    site = build()
    response = await AsyncClient().post(f"/async/{query}")
    assert response.content == b"stored"
    assert await sync_to_async(lambda: site.rows)() == rows
    assert sidecar.calls["ReportUsage"] == 0
    await site.guard.aio.aclose()
    await sync_to_async(lambda: connections[site.alias].close())()
