"""Sync and async, WSGI and ASGI: where guarded Django requests run and how they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.utils.asyncio import async_unsafe

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Decision, Settings, connect
from stigg_guard_django import meters_usage, requires_feature
from stigg_guard_django.apps import project_guards
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.django_site import GUARD, configure, customer_of, project

configure()

CUSTOMER = {"X-Customer": WITHIN}
LIMITED = {"X-Customer": AT_LIMIT}
RULES = [{"path": "/domains/", "feature": DOMAIN}]
NEW_RULES = [{"path": "/new/", "feature": DOMAIN}]
seen: list[int] = []


@pytest.fixture(autouse=True)
def _unseen() -> None:
    seen.clear()


def thread_of(request: HttpRequest) -> str | None:
    seen.append(threading.get_ident())
    return customer_of(request)


async def acustomer_of(request: HttpRequest) -> str | None:
    await asyncio.sleep(0)
    return thread_of(request)


@async_unsafe
def customer_from_orm(request: HttpRequest) -> str | None:
    # What Django's ORM does when it is called on an event loop.
    return thread_of(request)


@meters_usage(TEMPLATES)
def create(request: HttpRequest) -> HttpResponse:
    seen.append(threading.get_ident())
    return HttpResponse("created")


@meters_usage(TEMPLATES)
async def acreate(request: HttpRequest) -> HttpResponse:
    seen.append(threading.get_ident())
    return HttpResponse("created")


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def aplain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


def test_sync_view_under_wsgi_stays_in_its_thread(sidecar: LocalSidecar) -> None:
    with project({"new/": create}, target=sidecar.target, customer=thread_of):
        assert Client(headers=CUSTOMER).post("/new/").status_code == 200
    assert set(seen) == {threading.get_ident()}
    assert used(sidecar, WITHIN) == 4


async def test_async_view_under_asgi_stays_on_its_loop(
    sidecar: LocalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    hops: list[object] = []
    enter = SyncToAsync[..., Any].__call__

    async def record(self: Any, *args: Any, **kwargs: Any) -> Any:
        hops.append(self.func)
        return await enter(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", record)
    with project(
        {"new/": acreate}, target=sidecar.target, customer=thread_of, rules=NEW_RULES
    ):
        handler = ASGIHandler()
        request = AsyncRequestFactory().post("/new/", headers=CUSTOMER)
        response = await handler.get_response_async(request)
    assert response.status_code == 200
    assert set(seen) == {threading.get_ident()}
    assert hops == []
    assert used(sidecar, WITHIN) == 4


async def test_sync_view_under_asgi_is_checked_in_its_own_thread(
    sidecar: LocalSidecar,
) -> None:
    with project({"new/": create}, target=sidecar.target, customer=thread_of):
        response = await AsyncClient().post("/new/", headers=CUSTOMER)
        assert response.status_code == 200
        limited = await AsyncClient().post("/new/", headers=LIMITED)
        assert limited.status_code == 402
    assert len(set(seen)) == 1
    assert seen[0] != threading.get_ident()
    assert used(sidecar, WITHIN) == 4


@pytest.mark.parametrize("customer", [customer_of, acustomer_of, customer_from_orm])
def test_async_view_under_wsgi_is_guarded_and_metered(
    sidecar: LocalSidecar, customer: Callable[..., Any]
) -> None:
    views = {"new/": acreate, "domains/": aplain}
    with project(views, target=sidecar.target, customer=customer, rules=RULES):
        client = Client()
        assert client.post("/new/", headers=CUSTOMER).status_code == 200
        assert client.post("/new/", headers=LIMITED).status_code == 402
        assert client.get("/domains/", headers=CUSTOMER).status_code == 200
        assert client.get("/domains/", headers=LIMITED).status_code == 402
    assert used(sidecar, WITHIN) == 4


def _unwanted(settings: Settings) -> None:
    raise AssertionError("this connection is not for this server")


def test_async_views_under_wsgi_ask_over_the_sync_connection(
    sidecar: LocalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An async connection belongs to a loop, and such a loop lasts for one request.
    monkeypatch.setattr(connect, "async_sidecar", _unwanted)
    with project({"new/": acreate}, target=sidecar.target, rules=NEW_RULES):
        client = Client(headers=CUSTOMER)
        for _ in range(3):
            assert client.post("/new/").status_code == 200
    assert used(sidecar, WITHIN) == 6


async def test_async_views_under_asgi_ask_over_the_async_connection(
    sidecar: LocalSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "sync_sidecar", _unwanted)
    with project({"new/": acreate}, target=sidecar.target, rules=NEW_RULES):
        response = await AsyncClient().post("/new/", headers=CUSTOMER)
    assert response.status_code == 200
    assert used(sidecar, WITHIN) == 4


@pytest.mark.parametrize("customer", [customer_of, acustomer_of, customer_from_orm])
async def test_customers_are_found_under_asgi_however_it_is_done(
    sidecar: LocalSidecar, customer: Callable[..., Any]
) -> None:
    views = {"new/": acreate, "sync/": create, "domains/": aplain}
    with project(views, target=sidecar.target, customer=customer, rules=RULES):
        client = AsyncClient()
        for path in ("/new/", "/sync/"):
            assert (await client.post(path, headers=CUSTOMER)).status_code == 200
            assert (await client.post(path, headers=LIMITED)).status_code == 402
        assert (await client.get("/domains/", headers=CUSTOMER)).status_code == 200
        assert (await client.get("/domains/", headers=LIMITED)).status_code == 402
    assert used(sidecar, WITHIN) == 5


async def test_resolver_that_needs_the_orm_runs_in_djangos_thread(
    sidecar: LocalSidecar,
) -> None:
    django_thread = await sync_to_async(threading.get_ident, thread_sensitive=True)()
    with project(
        {"domains/": aplain},
        target=sidecar.target,
        customer=customer_from_orm,
        rules=RULES,
    ):
        await AsyncClient().get("/domains/", headers=CUSTOMER)
    assert seen == [django_thread]


def test_async_resolver_serves_sync_views(sidecar: LocalSidecar) -> None:
    with project({"new/": create}, target=sidecar.target, customer=acustomer_of):
        assert Client().post("/new/", headers=CUSTOMER).status_code == 200
        assert Client().post("/new/", headers=LIMITED).status_code == 402


def refuse(request: HttpRequest, decision: Decision) -> HttpResponse:
    return HttpResponse(f"{request.path} {decision.reason}", status=418)


async def arefuse(request: HttpRequest, decision: Decision) -> HttpResponse:
    await asyncio.sleep(0)
    return refuse(request, decision)


refuse_with_orm = async_unsafe(refuse)


@pytest.mark.parametrize("on_denied", [refuse, arefuse, refuse_with_orm])
async def test_application_answers_denials_its_own_way(
    sidecar: LocalSidecar, on_denied: Callable[..., Any]
) -> None:
    views = {"new/": create, "anew/": acreate, "domains/": plain}
    with project(views, target=sidecar.target, on_denied=on_denied, rules=RULES):
        for path in ("/new/", "/anew/", "/domains/"):
            response = await AsyncClient().post(path, headers=LIMITED)
            assert response.status_code == 418
            assert response.content.startswith(path.encode())
            get = sync_to_async(Client().post)
            assert (await get(path, headers=LIMITED)).content == response.content


def test_view_answers_its_denials_its_own_way(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN, on_denied=refuse)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    with project({"": view}, target=sidecar.target, on_denied=451):
        assert Client(headers=LIMITED).get("/").status_code == 418


def test_own_answer_that_is_no_response_is_an_error(sidecar: LocalSidecar) -> None:
    @requires_feature(DOMAIN, on_denied=lambda request, decision: "no")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    with (
        project({"": view}, target=sidecar.target),
        pytest.raises(TypeError, match="returned 'no'; return a response"),
    ):
        Client(headers=LIMITED).get("/")


class Outer:
    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        response = self.get_response(request)
        response.headers["X-Outer"] = str(response.status_code)
        return response


class Inner(Outer):
    def process_exception(self, request: HttpRequest, error: Exception) -> Any:
        if isinstance(error, AccessDenied):
            return HttpResponse("mine", status=409)
        return None


@pytest.mark.parametrize("path", ["/new/", "/domains/"])
def test_middleware_further_out_sees_denials(sidecar: LocalSidecar, path: str) -> None:
    views, outer = {"new/": create, "domains/": plain}, f"{__name__}.Outer"
    with project(views, middleware=(outer, GUARD), target=sidecar.target, rules=RULES):
        assert Client(headers=LIMITED).get(path).headers["X-Outer"] == "402"


def test_middleware_further_in_may_answer_denials(sidecar: LocalSidecar) -> None:
    views, inner = {"new/": create}, f"{__name__}.Inner"
    with project(views, middleware=(GUARD, inner), target=sidecar.target):
        response = Client(headers=LIMITED).post("/new/")
    assert (response.status_code, response.content) == (409, b"mine")


@pytest.mark.parametrize("outside", [True, False])
async def test_sync_middleware_beside_ours_changes_nothing_under_asgi(
    sidecar: LocalSidecar, outside: bool
) -> None:
    outer = f"{__name__}.Outer"
    middleware = (outer, GUARD) if outside else (GUARD, outer)
    views = {"new/": create, "anew/": acreate, "domains/": aplain}
    with project(views, middleware=middleware, target=sidecar.target, rules=RULES):
        client = AsyncClient()
        for path in ("/new/", "/anew/", "/domains/"):
            allowed = await client.post(path, headers=CUSTOMER)
            assert (path, allowed.status_code) == (path, 200)
            denied = await client.post(path, headers=LIMITED)
            assert (path, denied.status_code) == (path, 402)
    assert used(sidecar, WITHIN) == 5


def test_view_whose_transaction_fails_is_not_metered(
    sidecar: LocalSidecar, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    returned: list[str] = []

    @meters_usage(TEMPLATES)
    def view(request: HttpRequest) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO child VALUES (%s)", [request.GET["parent"]])
        returned.append(request.GET["parent"])
        return HttpResponse()

    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "db.sqlite3"))
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE parent (id integer PRIMARY KEY)")
            cursor.execute(
                "CREATE TABLE child (parent integer REFERENCES parent (id)"
                " DEFERRABLE INITIALLY DEFERRED)"
            )
            cursor.execute("INSERT INTO parent VALUES (1)")
        with project({"": view}, target=sidecar.target):
            client = Client(raise_request_exception=False, headers=CUSTOMER)
            assert client.post("/?parent=2").status_code == 500
            assert used(sidecar, WITHIN) == 3
            assert client.post("/?parent=1").status_code == 200
            assert used(sidecar, WITHIN) == 4
    finally:
        connection.close()
    assert returned == ["2", "1"]


async def test_request_that_is_given_up_is_not_metered(sidecar: LocalSidecar) -> None:
    started = asyncio.Event()

    @meters_usage(TEMPLATES)
    async def view(request: HttpRequest) -> HttpResponse:
        started.set()
        await asyncio.Event().wait()
        return HttpResponse()

    with project({"": view}, target=sidecar.target):
        request = AsyncRequestFactory().post("/", headers=CUSTOMER)
        task = asyncio.create_task(ASGIHandler().get_response_async(request))
        await asyncio.wait_for(started.wait(), 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert sidecar.calls["ReportUsage"] == 0


@pytest.mark.parametrize(("status", "counted"), [(201, 4), (500, 3)])
async def test_sync_view_is_metered_though_its_client_went_away(
    sidecar: LocalSidecar, status: int, counted: int
) -> None:
    # Its thread cannot be stopped: what it makes is made, and used.
    started, may_end, ended = (threading.Event() for _ in range(3))

    def view(request: HttpRequest) -> HttpResponse:
        started.set()
        assert may_end.wait(10)
        return HttpResponse(status=status)

    guarded = meters_usage(TEMPLATES)(view)

    def told_of_its_end(request: HttpRequest) -> HttpResponse:
        try:
            return guarded(request)
        finally:
            ended.set()

    with project({"": told_of_its_end}, target=sidecar.target):
        request = AsyncRequestFactory().post("/", headers=CUSTOMER)
        task = asyncio.create_task(ASGIHandler().get_response_async(request))
        assert await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_end.set()
        assert await asyncio.to_thread(ended.wait, 10)
        assert used(sidecar, WITHIN) == counted
        counts = project_guards().sync.counts
    # Nothing of it is held any more.
    assert counts["held"] == counts.get("acknowledged", 0) + (status == 500)


async def test_sync_view_that_begins_when_its_client_went_away_holds_nothing_on(
    sidecar: LocalSidecar,
) -> None:
    begun, may_ask, ended = (threading.Event() for _ in range(3))

    def slow_customer(request: HttpRequest) -> str | None:
        begun.set()
        assert may_ask.wait(10)
        return customer_of(request)

    @meters_usage(TEMPLATES)
    def view(request: HttpRequest) -> HttpResponse:
        raise RuntimeError

    def told_of_its_end(request: HttpRequest) -> HttpResponse:
        try:
            return view(request)
        finally:
            ended.set()

    site = {"": told_of_its_end, "new/": create}
    with project(site, target=sidecar.target, customer=slow_customer, holds_wait=0):
        request = AsyncRequestFactory().post("/", headers=CUSTOMER)
        task = asyncio.create_task(ASGIHandler().get_response_async(request))
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_ask.set()
        assert await asyncio.to_thread(ended.wait, 10)
        client = AsyncClient()
        answers = [await client.post("/new/", headers=CUSTOMER) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_head_of_a_denial_has_its_headers_and_no_body(sidecar: LocalSidecar) -> None:
    with project({"new/": create}, target=sidecar.target):
        handler, factory = WSGIHandler(), RequestFactory(headers=LIMITED)
        handler.load_middleware()
        denied: Any = handler.get_response(factory.get("/new/"))
        head: Any = handler.get_response(factory.head("/new/"))
    assert (head.status_code, head.content) == (402, b"")
    assert head.headers["Content-Length"] == str(len(denied.content)) != "0"
