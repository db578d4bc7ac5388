"""The behaviour suite's application in Django: sync under WSGI, async under ASGI."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncClient, Client, override_settings
from django.urls import URLPattern, path

import stigg_guard_django
from stigg_guard import Subject
from stigg_guard_django import guard_exempt, guard_from, usage_from
from stigg_guard_django.apps import project_guards
from tests.behaviour.client import BehaviourClient, Response
from tests.behaviour.routes import (
    DOMAIN,
    NUMBERED,
    NUMBERED_GUARD,
    REQUIRED,
    ROUTES,
    RULE_EXEMPT,
    RULED,
    Guarded,
    rules,
)
from tests.behaviour.servers import uvicorn_serving, wsgi_serving
from tests.behaviour.views import Told, ViewBroke
from tests.integrations.django_site import configure

configure()

View = Callable[..., Any]


def customer_of(request: HttpRequest) -> Subject | None:
    customer = request.META.get("HTTP_X_CUSTOMER")
    return customer and Subject(customer, request.META.get("HTTP_X_RESOURCE"))


async def acustomer_of(request: HttpRequest) -> Subject | None:
    return customer_of(request)


def view(request: HttpRequest, **_: object) -> HttpResponseBase:
    told = _told(request)
    if told.chunks is None:
        return _json(told)
    return StreamingHttpResponse(told.stream(), status=told.status)


async def aview(request: HttpRequest, **_: object) -> HttpResponseBase:
    told = _told(request)
    if told.chunks is None:
        return _json(told)
    return StreamingHttpResponse(told.astream(), status=told.status)


def _told(request: HttpRequest) -> Told:
    told = Told.by(request.GET.dict())
    if told.use is not None:
        usage_from(request).value = told.use
    return told


def _json(told: Told) -> JsonResponse:
    return JsonResponse({"ok": True}, status=told.status, headers={**told.headers})


def required(request: HttpRequest) -> HttpResponseBase:
    guard_from(request).require(_somebody(request), DOMAIN)
    return view(request)


async def arequired(request: HttpRequest) -> HttpResponseBase:
    await guard_from(request).aio.require(_somebody(request), DOMAIN)
    return view(request)


def _somebody(request: HttpRequest) -> Subject:
    subject = customer_of(request)
    assert subject is not None
    return subject


def _urlpatterns(make_view: Callable[[], View], required: View) -> list[URLPattern]:
    exempt = guard_exempt(make_view())
    return [
        *(path(p[1:], _decorated(make_view(), d)) for p, d in ROUTES.items()),
        path(RULE_EXEMPT[1:], exempt),
        path(RULED[1:], make_view()),
        path(NUMBERED[1:], _decorated(make_view(), (NUMBERED_GUARD,))),
        path(REQUIRED[1:], required),
    ]


def _decorated(view: View, decorators: tuple[Guarded, ...]) -> View:
    for guarded in reversed(decorators):
        decorator = getattr(stigg_guard_django, guarded.kind)
        view = decorator(*guarded.needs, **guarded.options)(view)
    return view


def _view() -> View:
    # A function of its own: decorators mark what they stand on.
    def own(request: HttpRequest, **found: object) -> HttpResponseBase:
        return view(request, **found)

    return own


def _aview() -> View:
    async def own(request: HttpRequest, **found: object) -> HttpResponseBase:
        return await aview(request, **found)

    return own


class SyncUrls:
    urlpatterns = _urlpatterns(_view, required)


class AsyncUrls:
    urlpatterns = _urlpatterns(_aview, arequired)


class _DjangoClient(BehaviourClient):
    """Lays the client's settings over the project's; the last one built counts."""

    urls: ClassVar[type]
    customer: ClassVar[str]
    _built: ClassVar[list[_DjangoClient]] = []

    def __init__(self, **settings: Any) -> None:
        options = {
            "rules": rules(),
            "customer": f"{__name__}.{self.customer}",
            **settings,
        }
        self._settings = override_settings(
            ROOT_URLCONF=self.urls,
            STIGG_GUARD={name.upper(): value for name, value in options.items()},
        )
        self._settings.enable()
        self._is_open = True
        self._built.append(self)

    def close(self) -> None:
        self._is_open = False
        # Settings are laid over each other, so they come off in reverse.
        while self._built and not self._built[-1]._is_open:
            self._built.pop()._settings.disable()


class DjangoSyncClient(_DjangoClient):
    """Sync views under Django's WSGI handler."""

    urls = SyncUrls
    customer = "customer_of"

    def serving(self) -> AbstractContextManager[int]:
        return wsgi_serving(WSGIHandler())

    def request(
        self,
        method: str,
        path: str,
        *,
        customer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        sent = _headers(customer, headers)
        client = Client(raise_request_exception=False)  # one serves one thread
        found = client.generic(method, path, headers=sent)
        try:
            body = b"".join(found) if found.streaming else found.content
        except ViewBroke:
            return Response(status=500, headers={}, body=b"")
        finally:
            found.close()
        return _response(found, body)


class DjangoAsyncClient(_DjangoClient):
    """Async views under Django's ASGI handler, on one event loop as under a server."""

    urls = AsyncUrls
    customer = "acustomer_of"

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def request(
        self,
        method: str,
        path: str,
        *,
        customer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        response: Response = self._run(self._request(method, path, customer, headers))
        return response

    async def _request(
        self,
        method: str,
        path: str,
        customer: str | None,
        headers: Mapping[str, str] | None,
    ) -> Response:
        sent = _headers(customer, headers)
        client = AsyncClient(raise_request_exception=False)
        found: Any = await client.generic(method, path, headers=sent)
        try:
            body = (
                b"".join([part async for part in found])
                if found.streaming
                else found.content
            )
        except ViewBroke:
            return Response(status=500, headers={}, body=b"")
        finally:
            await sync_to_async(found.close)()
        return _response(found, body)

    def serving(self) -> AbstractContextManager[int]:
        return uvicorn_serving(ASGIHandler())

    def close(self) -> None:
        self._run(project_guards().aio.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        super().close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _headers(customer: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
    who = {"X-Customer": customer} if customer else {}
    return {**who, **(headers or {})}


def _response(found: Any, body: bytes) -> Response:
    return Response(
        status=found.status_code,
        headers={name.lower(): value for name, value in found.headers.items()},
        body=body,
    )
