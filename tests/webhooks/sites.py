"""One application in each framework: a guarded page, and a path for webhooks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import httpx
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.test import Client

from stigg_guard import Guard, WebhookEvent, asgi, wsgi
from stigg_guard.webhooks import WebhookHandler
from stigg_guard_django import guard_from, requires_feature, webhook_view
from stigg_guard_django.signals import webhook_received
from stigg_guard_flask import StiggGuard, webhook_blueprint
from stigg_guard_flask import guard_from as flask_guard_from
from stigg_guard_flask import requires_feature as flask_requires_feature
from stigg_guard_flask.signals import webhook_received as flask_webhook_received
from stigg_guard_starlette import StiggGuardMiddleware, webhook_route
from stigg_guard_starlette import requires_feature as starlette_requires_feature
from stigg_guard_starlette.fastapi import webhook_router
from tests.integrations.django_site import configure
from tests.webhooks.samples import HEADER, SECRET, encoded

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

configure()

PAGE = "/page"
HOOKS = "/webhooks/stigg"
FEATURE = "feature-03-custom-domain"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Site(Protocol):
    """An application; `on_event` is told of its webhooks, as its framework does it."""

    app: Any

    def __init__(
        self, on_event: WebhookHandler | None = None, **settings: Any
    ) -> None: ...

    def ask(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        """One request, as a server would hand it over."""
        ...

    @property
    def guard(self) -> Guard: ...

    def close(self) -> None: ...


class Visits:
    """What tests ask of every site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.guard = site.guard

    def send(
        self,
        body: object,
        *,
        secret: str | None = SECRET,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A webhook."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if secret is not None:
            sent[HEADER] = secret
        return self.site.ask(method, HOOKS, encoded(body), sent)

    def page(self, customer: str = "customer-demo-01") -> int:
        """The status of the guarded page for a customer."""
        return self.site.ask("GET", PAGE, b"", {"X-Customer": customer}).status


class _Asked:
    app: Any

    def ask(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        raise NotImplementedError


class _OfWsgi(_Asked):
    def ask(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        with Client(self.app).open(
            path, method=method, data=body, headers=headers
        ) as found:
            return Answer(found.status_code, dict(found.headers), found.data)


class _OfAsgi(_Asked):
    def ask(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        from asgiref.sync import async_to_sync

        return async_to_sync(self.aask)(method, path, body, headers)

    async def aask(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as client:
            # In pieces, as bodies come.
            pieces = _pieces(body) if body else None
            sent = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
            found = await client.request(method, path, content=pieces, headers=sent)
            return Answer(found.status_code, dict(found.headers), found.content)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


def _customer(request: Any) -> str | None:
    return request.headers.get("X-Customer")  # type: ignore[no-any-return]


class _DjangoLike(_Asked):
    """Its handlers are receivers of the signal."""

    handler: ClassVar[type[Any]] = WSGIHandler

    def __init__(self, on_event: WebhookHandler | None = None, **settings: Any) -> None:
        @requires_feature(FEATURE)
        def page(request: HttpRequest) -> HttpResponse:
            return HttpResponse("page")

        class Urls:
            urlpatterns: ClassVar = [
                path(PAGE[1:], page),
                path(HOOKS[1:], webhook_view),
            ]

        self._stack = ExitStack()
        options = {"customer": _customer, **settings}
        self._stack.enter_context(
            override_settings(
                ROOT_URLCONF=Urls,
                MIDDLEWARE=[
                    "django.middleware.csrf.CsrfViewMiddleware",
                    "stigg_guard_django.StiggGuardMiddleware",
                ],
                STIGG_GUARD={name.upper(): value for name, value in options.items()},
            )
        )
        self.app = type(self).handler()
        self._errors: list[BaseException | None] = []
        got_request_exception.connect(self._failed)
        self._stack.callback(got_request_exception.disconnect, self._failed)
        if on_event is not None:
            self._connect(on_event)

    def _failed(self, **_: object) -> None:
        self._errors.append(sys.exc_info()[1])

    def ask(self, method: str, path: str, body: bytes, headers: Any) -> Answer:
        answer = super().ask(method, path, body, headers)
        for error in self._errors:
            assert error is not None
            assert answer.status == 500
            self._errors = []
            raise error
        return answer

    def _connect(self, on_event: WebhookHandler) -> None:
        def receive(event: WebhookEvent, **_: object) -> None:
            on_event(event)

        webhook_received.connect(receive, weak=False)
        self._stack.callback(webhook_received.disconnect, receive)

    @property
    def guard(self) -> Guard:
        return guard_from()

    def close(self) -> None:
        self._stack.close()


class DjangoSite(_DjangoLike, _OfWsgi):
    """Django under WSGI."""


class DjangoAsgiSite(_DjangoLike, _OfAsgi):
    """Django under ASGI."""

    handler = ASGIHandler


class FlaskSite(_OfWsgi):
    """Flask; its handlers are receivers of the signal."""

    def __init__(self, on_event: WebhookHandler | None = None, **settings: Any) -> None:
        self.app = app = Flask("site")
        app.config["PROPAGATE_EXCEPTIONS"] = True
        StiggGuard(app, customer=_customer, **settings)
        self._receive = self._receiver(on_event)
        flask_webhook_received.connect(self._receive, app)

        @app.get(PAGE)
        @flask_requires_feature(FEATURE)
        def page() -> str:
            return "page"

        assert callable(page)
        app.register_blueprint(webhook_blueprint())

    @staticmethod
    def _receiver(on_event: WebhookHandler | None) -> Any:
        def receive(_: Flask, event: WebhookEvent) -> None:
            if on_event is not None:
                on_event(event)

        return receive

    @property
    def guard(self) -> Guard:
        return flask_guard_from(self.app)

    def close(self) -> None:
        self.guard.close()


class _StarletteLike(_OfAsgi):
    middleware: Any = None

    @property
    def guard(self) -> Guard:
        found = self.app.middleware_stack or self.app.build_middleware_stack()
        self.app.middleware_stack = found
        while not isinstance(found, StiggGuardMiddleware):
            found = found.app
        guard: Guard = found.guard.sync
        return guard

    def close(self) -> None:
        self.guard.close()


class StarletteSite(_StarletteLike):
    def __init__(self, on_event: WebhookHandler | None = None, **settings: Any) -> None:
        @starlette_requires_feature(FEATURE)
        async def page(request: Request) -> PlainTextResponse:
            return PlainTextResponse("page")

        options: dict[str, Any] = {"customer": _customer, **settings}
        self.app = Starlette(
            routes=[Route(PAGE, page), webhook_route(HOOKS, on_event)],
            middleware=[Middleware(StiggGuardMiddleware, **options)],
        )


class FastapiSite(_StarletteLike):
    def __init__(self, on_event: WebhookHandler | None = None, **settings: Any) -> None:
        self.app = app = FastAPI()
        options: dict[str, Any] = {"customer": _customer, **settings}
        app.add_middleware(StiggGuardMiddleware, **options)

        @app.get(PAGE)
        @starlette_requires_feature(FEATURE)
        async def page() -> str:
            return "page"

        assert callable(page)
        app.include_router(webhook_router(HOOKS, on_event))


def _asgi_customer(scope: Any) -> str:
    found: bytes = dict(scope["headers"])[b"x-customer"]
    return found.decode()


def _wsgi_customer(environ: Any) -> str:
    found: str = environ["HTTP_X_CUSTOMER"]
    return found


class AsgiSite(_OfAsgi):
    """A bare application; it has rules alone, and calls the receiver itself."""

    def __init__(self, on_event: WebhookHandler | None = None, **settings: Any) -> None:
        receiver = asgi.WebhookReceiver(on_event)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == HOOKS:
                await receiver(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"page"})

        self.app = asgi.StiggGuardMiddleware(
            app,
            rules=[{"path": PAGE, "feature": FEATURE}],
            customer=_asgi_customer,
            **settings,
        )

    @property
    def guard(self) -> Guard:
        guard: Guard = self.app.guard.sync
        return guard

    def close(self) -> None:
        self.guard.close()


class WsgiSite(_OfWsgi):
    """A bare application; it has rules alone, and calls the receiver itself."""

    def __init__(self, on_event: WebhookHandler | None = None, **settings: Any) -> None:
        receiver = wsgi.WebhookReceiver(on_event)

        def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            if environ["PATH_INFO"] == HOOKS:
                return receiver(environ, start)
            start("200 OK", [])
            return [b"page"]

        self.app = wsgi.StiggGuardMiddleware(
            app,
            rules=[{"path": PAGE, "feature": FEATURE}],
            customer=_wsgi_customer,
            **settings,
        )

    @property
    def guard(self) -> Guard:
        guard: Guard = self.app.guard
        return guard

    def close(self) -> None:
        self.guard.close()


SITES: dict[str, type[Site]] = {
    "django": DjangoSite,
    "django-asgi": DjangoAsgiSite,
    "flask": FlaskSite,
    "starlette": StarletteSite,
    "fastapi": FastapiSite,
    "asgi": AsgiSite,
    "wsgi": WsgiSite,
}
