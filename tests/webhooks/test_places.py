"""What each framework has of its own around webhooks: checks, refusals, handlers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, ClassVar, cast

import pytest
from django.core import checks
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import include, path
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.testclient import TestClient

from stigg_guard import (
    AsyncGuard,
    ConfigurationError,
    Guard,
    Settings,
    WebhookEvent,
    asgi,
    wsgi,
)
from stigg_guard_django import webhook_view
from stigg_guard_django.signals import webhook_received
from stigg_guard_flask import StiggGuard, signals, webhook_blueprint
from stigg_guard_starlette import StiggGuardMiddleware, webhook_route
from tests.scripted_sidecar import ScriptedSidecar
from tests.webhooks.samples import HEADER, SECRET, encoded, flat, updated
from tests.webhooks.sites import FlaskSite, StarletteSite, Visits

SENT = {HEADER: SECRET, "Content-Type": "application/json"}


class Urls:
    urlpatterns: ClassVar = [
        path("hooks/", include([path("stigg/", webhook_view)])),
    ]


def failing(guard: dict[str, Any]) -> list[str | None]:
    with override_settings(ROOT_URLCONF=Urls, STIGG_GUARD=guard):
        found = checks.run_checks(tags=["stigg_guard"])
        return [message.id for message in found if message.level >= checks.ERROR]


def test_django_checks_that_webhooks_have_a_secret() -> None:
    assert failing({}) == ["stigg_guard.E008"]
    assert failing({"WEBHOOK_SECRET": SECRET}) == []


def test_django_takes_webhooks_where_everybody_has_to_log_in() -> None:
    with override_settings(
        ROOT_URLCONF=Urls,
        STIGG_GUARD={"WEBHOOK_SECRET": SECRET},
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.auth.middleware.LoginRequiredMiddleware",
            "stigg_guard_django.StiggGuardMiddleware",
        ],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    ):
        client = Client(enforce_csrf_checks=True)
        body, kind = encoded(flat("x.y")), "application/json"
        answer = client.post("/hooks/stigg/", body, kind, headers=SENT)
    assert answer.status_code == 200
    assert answer.json() == {"detail": "Received."}


def test_django_tells_all_receivers_even_if_the_first_fails(
    scripted: ScriptedSidecar,
) -> None:
    told: list[tuple[Any, str]] = []

    def broken(**_: Any) -> None:
        raise LookupError

    async def later(
        sender: Any, event: WebhookEvent, request: HttpRequest, **_: object
    ) -> None:
        told.append((sender, f"{event.type} at {request.path}"))

    signal = cast("Any", webhook_received)
    signal.connect(broken)
    signal.connect(later)
    guard = {"WEBHOOK_SECRET": SECRET, "TARGET": scripted.target}
    try:
        with override_settings(ROOT_URLCONF=Urls, STIGG_GUARD=guard):
            client = Client(raise_request_exception=False)
            answer = client.generic(
                "POST", "/hooks/stigg/", encoded(updated()), headers=SENT
            )
    finally:
        signal.disconnect(broken)
        signal.disconnect(later)
    assert answer.status_code == 500
    assert told == [(WebhookEvent, "entitlements.updated at /hooks/stigg/")]


@pytest.mark.parametrize("guard_comes_first", [True, False])
def test_flask_application_without_a_secret_is_refused(guard_comes_first: bool) -> None:
    app, extension = Flask("site"), StiggGuard()
    steps: list[Callable[[], object]] = [
        lambda: extension.init_app(app),
        lambda: app.register_blueprint(webhook_blueprint()),
    ]
    first, second = steps if guard_comes_first else reversed(steps)
    first()
    with pytest.raises(ConfigurationError, match="STIGG_GUARD_WEBHOOK_SECRET"):
        second()


def test_flask_handlers_and_receivers_may_be_async() -> None:
    told: list[str] = []

    async def on_event(event: WebhookEvent) -> None:
        told.append(f"handler of {event.type}")

    async def receive(app: Flask, event: WebhookEvent, **_: object) -> None:
        told.append(f"receiver of {event.type} in {app.name}")

    app = Flask("site")
    StiggGuard(app, webhook_secret=SECRET)
    app.register_blueprint(
        webhook_blueprint("/stigg", on_event=on_event, types=["plan.*"]),
        url_prefix="/hooks",
    )
    with signals.webhook_received.connected_to(receive, app):
        for name in ("plan.created", "coupon.created"):
            body = encoded(flat(name))
            answer = app.test_client().post("/hooks/stigg", data=body, headers=SENT)
            assert answer.status_code == 200
    assert told == [
        "handler of plan.created",
        "receiver of plan.created in site",
        "receiver of coupon.created in site",
    ]


def test_flask_application_may_take_less_than_webhooks_have() -> None:
    app = Flask("site")
    app.config["MAX_CONTENT_LENGTH"] = 10
    StiggGuard(app, webhook_secret=SECRET)
    app.register_blueprint(webhook_blueprint())
    body = encoded(flat("x.y"))
    answer = app.test_client().post("/webhooks/stigg", data=body, headers=SENT)
    assert answer.status_code == 200


def test_starlette_application_without_a_secret_does_not_start() -> None:
    app = Starlette(
        routes=[Mount("/hooks", routes=[webhook_route("/stigg")])],
        middleware=[Middleware(StiggGuardMiddleware)],
    )
    with (
        pytest.raises(ConfigurationError, match="webhook_secret=") as found,
        TestClient(app),
    ):
        pass
    assert '"/stigg"' in str(found.value)


def test_route_may_have_a_guard_of_its_own() -> None:
    guard = AsyncGuard(webhook_secret=SECRET)
    told: list[str] = []
    guard.on_webhook(lambda event: told.append(event.type))
    app = Starlette(routes=[webhook_route(guard=guard)])
    body = encoded(flat("x.y"))
    answer = TestClient(app).post("/webhooks/stigg", content=body, headers=SENT)
    assert answer.status_code == 200
    assert told == ["x.y"]


def test_event_loop_goes_on_while_a_handler_waits(scripted: ScriptedSidecar) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def on_event(event: WebhookEvent) -> None:
        begun.set()
        assert may_end.wait(10)

    site = StarletteSite(on_event, target=scripted.target, webhook_secret=SECRET)

    async def end_it() -> None:
        assert await asyncio.to_thread(begun.wait, 10)
        may_end.set()

    async def send_and_end() -> int:
        body = encoded(flat("x.y"))
        answer, _ = await asyncio.gather(
            site.aask("POST", "/webhooks/stigg", body, SENT), end_it()
        )
        return answer.status

    assert asyncio.run(send_and_end()) == 200
    site.close()


def test_message_is_refused_while_it_is_handled(scripted: ScriptedSidecar) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def on_event(event: WebhookEvent) -> None:
        begun.set()
        assert may_end.wait(10)

    site = Visits(
        FlaskSite(on_event, target=scripted.target, webhook_secret=SECRET, timeout=5)
    )
    message = updated()
    statuses: list[int] = []
    first = threading.Thread(target=lambda: statuses.append(site.send(message).status))
    first.start()
    assert begun.wait(10)
    answer = site.send(message)
    assert answer.status == 409
    assert answer.headers["Retry-After"] == "30"
    may_end.set()
    first.join()
    assert statuses == [200]
    assert site.send(message).status == 200
    site.site.close()


@pytest.mark.parametrize("receiver", [asgi.WebhookReceiver, wsgi.WebhookReceiver])
def test_receivers_refuse_what_is_no_handler_or_guard(receiver: Any) -> None:
    with pytest.raises(ValueError, match="takes a WebhookEvent"):
        receiver("a.function")
    with pytest.raises(ValueError, match=r"subscription\.\*"):
        receiver(print, types=["*.updated"])
    with pytest.raises(ConfigurationError, match="give it a Guard"):
        receiver(guard="guard")
    with pytest.raises(ValueError, match=r"on_webhook\(\) was given the type ''"):
        Guard().on_webhook("")


@pytest.mark.parametrize(
    "wrong",
    ["", " ", 7, [], [SECRET, ""], [SECRET, 7], f" {SECRET}", "gehe\xefm", "a\n"],
)
def test_secret_that_cannot_be_is_refused_without_being_told(wrong: object) -> None:
    with pytest.raises(ConfigurationError) as found:
        Settings.from_mapping({"WEBHOOK_SECRET": wrong})
    text = str(found.value)
    assert text.startswith('STIGG_GUARD["WEBHOOK_SECRET"]: ')
    assert SECRET not in text
    assert "gehe" not in text


def test_secrets_are_in_no_representation() -> None:
    settings = Settings.from_mapping({"WEBHOOK_SECRET": [SECRET, "other"]})
    assert settings.webhook_secret == (SECRET, "other")
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("text", "secrets"), [("one", ("one",)), ('["new", "old"]', ("new", "old"))]
)
def test_secrets_come_from_the_environment(text: str, secrets: tuple[str]) -> None:
    environ = {"STIGG_GUARD_WEBHOOK_SECRET": text}
    assert Settings.from_env(environ).webhook_secret == secrets


def test_store_is_memory_or_a_redis() -> None:
    with pytest.raises(ConfigurationError, match=r'"WEBHOOK_STORE".*use "memory" or'):
        Settings.from_mapping({"WEBHOOK_STORE": "postgres://"})
