"""The behaviour suite's application as a bare WSGI callable: it has rules alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from werkzeug.test import Client

from stigg_guard import Subject
from stigg_guard.wsgi import StiggGuardMiddleware, guard_from
from tests.behaviour import routes
from tests.behaviour.client import BehaviourClient, Response

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
    query = parse_qs(environ["QUERY_STRING"])
    if "raise" in query:
        raise routes.ViewBroke
    if environ["PATH_INFO"] == routes.REQUIRED:
        subject = customer_of(environ)
        assert subject is not None
        guard_from(environ).require(subject, routes.DOMAIN)
    status = query.get("status", ["200"])[0]
    start_response(f"{status} Answer", [("Content-Type", "application/json")])
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return [json.dumps({"ok": True}).encode()]


class WsgiClient(BehaviourClient):
    """The bare callable in its middleware, werkzeug's test client."""

    has_decorators = False

    def __init__(self, **settings: Any) -> None:
        rules = (*routes.rules_for_everything(), *settings.pop("rules", ()))
        options: dict[str, Any] = {"customer": customer_of, "rules": rules, **settings}
        self.app = StiggGuardMiddleware(application, **options)
        self._client = Client(self.app)

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
            answer = self._client.open(path, method=method, headers=sent)
        except routes.ViewBroke:
            return Response(status=500, headers={}, body=b"")
        with answer:
            return Response(
                status=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers},
                body=answer.data,
            )

    def close(self) -> None:
        self.app.guard.close()
