"""The behaviour suite's application in Flask, driven by its test client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

import stigg_guard_flask
from stigg_guard import Subject
from tests.behaviour import routes
from tests.behaviour.client import BehaviourClient, Response

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


def customer_of() -> Subject | None:
    customer = request.headers.get("X-Customer")
    if customer is None:
        return None
    return Subject(customer, request.headers.get("X-Resource"))


def view(**_: object) -> ResponseReturnValue:
    if request.args.get("raise"):
        raise routes.ViewBroke
    return {"ok": True}, int(request.args.get("status", 200))


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
        self._client = self.app.test_client()

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
        with self._client.open(path, method=method, headers=sent) as answer:
            return Response(
                status=answer.status_code,
                headers={name.lower(): value for name, value in answer.headers},
                body=answer.data,
            )

    def close(self) -> None:
        stigg_guard_flask.guard_from(self.app).close()
