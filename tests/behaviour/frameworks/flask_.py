"""The behaviour suite's application in Flask, driven by its test client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

import stigg_guard_flask
from stigg_guard import Subject
from tests.behaviour import routes
from tests.behaviour.client import BehaviourClient, Response
from tests.behaviour.servers import wsgi_serving
from tests.behaviour.views import Told, ViewBroke

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


def customer_of() -> Subject | None:
    customer = request.headers.get("X-Customer")
    if customer is None:
        return None
    return Subject(customer, request.headers.get("X-Resource"))


def view(**_: object) -> ResponseReturnValue:
    told = Told.by(request.args)
    if told.use is not None:
        stigg_guard_flask.usage_from().value = told.use
    if told.chunks is None:
        return {"ok": True}, told.status, {**told.headers}
    return told.stream(), told.status


def required() -> ResponseReturnValue:
    subject = customer_of()
    assert subject is not None
    stigg_guard_flask.guard_from().require(subject, routes.DOMAIN)
    return {"ok": True}


def decorated(guards: tuple[routes.Guarded, ...]) -> Callable[..., Any]:
    found: Callable[..., Any] = view
    for guard in reversed(guards):
        decorator = getattr(stigg_guard_flask, guard.kind)
        found = decorator(*guard.needs, **guard.options)(found)
    return found


def application(**settings: Any) -> Flask:
    app = Flask(__name__)
    app.config["STIGG_GUARD_RULES"] = routes.rules()
    views = {path: decorated(guards) for path, guards in routes.ROUTES.items()}
    views[routes.RULED] = view
    views[routes.REQUIRED] = required
    views[routes.NUMBERED] = decorated((routes.NUMBERED_GUARD,))
    views[routes.RULE_EXEMPT] = stigg_guard_flask.guard_exempt(lambda: view())
    for path, function in views.items():
        app.add_url_rule(path, path, function, methods=METHODS)
    options: dict[str, Any] = {"customer": customer_of, **settings}
    stigg_guard_flask.StiggGuard(**options).init_app(app)
    return app


class FlaskClient(BehaviourClient):
    """Flask, its test client, sync views."""

    def __init__(self, **settings: Any) -> None:
        self.app = application(**settings)

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
        client = self.app.test_client()  # one serves one thread
        with client.open(path, method=method, headers=sent) as answer:
            try:
                body = answer.data
            except ViewBroke:
                return Response(status=500, headers={}, body=b"")
            return Response(
                status=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers},
                body=body,
            )

    def serving(self) -> AbstractContextManager[int]:
        return wsgi_serving(self.app)

    def close(self) -> None:
        stigg_guard_flask.guard_from(self.app).close()
