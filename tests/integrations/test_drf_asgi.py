"""An API of Django REST framework under ASGI: sync views, settled asynchronously."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient
from rest_framework.request import Request
from rest_framework.response import Response

from sidecar_client.local import LocalSidecar
from stigg_guard import Subject
from stigg_guard.metering.holds.base import Peek, Place, Standing
from stigg_guard_django.apps import project_guards
from stigg_guard_django.drf import meters, meters_usage, requires, requires_feature
from stigg_guard_django.visit import visit_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, FILE_SIZE, TEMPLATES, WITHIN
from tests.behaviour.servers import uvicorn_serving
from tests.behaviour.test_streams import eventually
from tests.behaviour.usage import used
from tests.integrations.drf_site import Api, api


async def customer_of(request: Any) -> Subject | None:
    found = getattr(request.user, "customer_id", None)
    return None if found is None else Subject(found)


async def own_answer(request: Any, decision: Any) -> Response:
    return Response("own", status=402)


def of_response(request: Any, response: Any) -> float:
    """As many units as the API's user is to be charged."""
    return (
        2 if request.user.customer_id == WITHIN and response.status_code == 201 else 0
    )


class Templates(Api):
    permission_classes = (requires(FILE_SIZE),)

    @meters_usage(TEMPLATES, value=of_response)
    def post(self, request: Request) -> Response:
        return Response(status=201)

    @requires_feature(DOMAIN, on_denied=own_answer)
    def get(self, request: Request) -> Response:
        return Response("done")


class Throttled(Api):
    throttle_classes = (meters(TEMPLATES),)

    def post(self, request: Any) -> Response:
        return Response(status=int(request.data.get("status", 201)))


async def send(token: str, method: str, path: str, *body: Any) -> Any:
    headers: Any = {"authorization": f"Token {token}"}
    call = getattr(AsyncClient(), method)
    return await call(path, *body, headers=headers)


async def test_usage_is_settled_on_the_event_loop(sidecar: LocalSidecar) -> None:
    views = {"t/": Templates.as_view(), "n/": Throttled.as_view()}
    with api(views, target=sidecar.target, customer=customer_of):
        assert (await send(WITHIN, "post", "/t/")).status_code == 201
        assert used(sidecar, WITHIN) == 5
        assert (await send(WITHIN, "post", "/n/", {"status": 409})).status_code == 409
        assert (await send(WITHIN, "post", "/n/")).status_code == 201
        assert used(sidecar, WITHIN) == 6
        denied = await send(WITHIN, "post", "/n/")
    assert denied.status_code == 402
    assert denied.headers["Content-Type"] == "application/json"


async def test_async_answer_of_the_views_own_is_rendered(sidecar: LocalSidecar) -> None:
    views = {"t/": Templates.as_view()}
    with api(views, target=sidecar.target, customer=customer_of):
        assert (await send(WITHIN, "get", "/t/")).json() == "done"
        assert (await send(AT_LIMIT, "get", "/t/")).json() == "own"


class Outlasting(Api):
    """It ends once the server knows that its client has gone."""

    throttle_classes = (meters(TEMPLATES), meters(TEMPLATES, value=1))

    started = threading.Event()
    ended = threading.Event()

    def dispatch(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().dispatch(*args, **kwargs)
        finally:
            self.ended.set()

    def post(self, request: Any) -> Response:
        self.started.set()
        assert eventually(lambda: visit_of(request._request).is_given_up)
        status = int(request.query_params["status"])
        if status == 500:
            raise RuntimeError("broken")
        return Response(status=status)


@pytest.mark.parametrize(("status", "counted"), [(201, 5), (409, 3), (500, 3)])
def test_a_throttled_view_counts_by_how_it_ends_though_its_client_went_away(
    sidecar: LocalSidecar, status: int, counted: int
) -> None:
    Outlasting.started.clear()
    Outlasting.ended.clear()
    place = Place(WITHIN, None, TEMPLATES)
    views = {"t/": Outlasting.as_view()}
    with (
        api(views, target=sidecar.target, customer=customer_of),
        uvicorn_serving(ASGIHandler()) as port,
    ):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
            client.sendall(
                f"POST /t/?status={status} HTTP/1.1\r\nHost: testserver\r\n"
                f"Authorization: Token {WITHIN}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            assert Outlasting.started.wait(30)
        assert Outlasting.ended.wait(30)
        standing = project_guards().sync.stores.perform(Peek(place=place))
    assert used(sidecar, WITHIN) == counted
    assert isinstance(standing, Standing)
    assert standing.held == 0
