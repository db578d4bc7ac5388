"""The behaviour suite's application as a bare WSGI callable: it has rules alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from werkzeug.test import Client

from stigg_guard import Subject
from stigg_guard.wsgi import StiggGuardMiddleware, guard_from, usage_from
from tests.behaviour import routes
from tests.behaviour.client import BehaviourClient, Response
from tests.behaviour.servers import wsgi_serving
from tests.behaviour.views import Told, ViewBroke

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def customer_of(environ: WSGIEnvironment) -> Subject | None:
    customer = environ.get("HTTP_X_CUSTOMER")
    if customer is None:
        return None
    return Subject(customer, environ.get("HTTP_X_RESOURCE"))


def application(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    told = Told.by(dict(parse_qsl(environ["QUERY_STRING"])))
    if told.use is not None:
        usage_from(environ).value = told.use
    if environ["PATH_INFO"] == routes.REQUIRED:
        subject = customer_of(environ)
        assert subject is not None
        guard_from(environ).require(subject, routes.DOMAIN)
    headers = [("Content-Type", "application/json"), *told.headers.items()]
    start_response(f"{told.status} Answer", headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    if told.chunks is not None:
        return told.stream()
    return [json.dumps({"ok": True}).encode()]


class WsgiClient(BehaviourClient):
    """The bare callable in its middleware, werkzeug's test client."""

    has_decorators = False

    def __init__(self, **settings: Any) -> None:
        rules = (*routes.rules_for_everything(), *settings.pop("rules", ()))
        options: dict[str, Any] = {"customer": customer_of, "rules": rules, **settings}
        self.app = StiggGuardMiddleware(application, **options)

    def request(
        self,
        method: str,
        path: str,
        *,
        customer: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        sent = dict(headers or {})
        if customer is not None:
            sent["X-Customer"] = customer
        try:
            with Client(self.app).open(path, method=method, headers=sent) as answer:
                return Response(
                    status=answer.status_code,
                    headers={name.lower(): value for name, value in answer.headers},
                    body=answer.data,
                )
        except ViewBroke:
            return Response(status=500, headers={}, body=b"")

    def serving(self) -> AbstractContextManager[int]:
        return wsgi_serving(self.app)

    def close(self) -> None:
        self.app.guard.close()
