"""A Flask application as a server imports it; the environment says where to ask.

With `ASK_WHILE_LOADING` it asks before the server forks, as a careless one would.
"""

from __future__ import annotations

import os

from flask import Flask, request
from flask.typing import ResponseReturnValue

from stigg_guard import Subject
from stigg_guard_flask import StiggGuard, guard_from, meters_usage, requires_feature
from tests.behaviour.routes import tens
from tests.behaviour.views import Told


def customer_of() -> str | None:
    return request.headers.get("X-Customer")


def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_prefixed_env("TEST")
    app.config["STIGG_GUARD_TIMEOUT"] = app.config["STIGG_GUARD_WRITE_TIMEOUT"] = 10
    app.config["STIGG_GUARD_ON_UNAVAILABLE"] = "deny"
    app.config["STIGG_GUARD_LAST_KNOWN_FOR"] = 0
    StiggGuard(customer=customer_of).init_app(app)

    @app.get("/domain")
    @requires_feature("feature-03-custom-domain")
    def domain() -> ResponseReturnValue:
        return str(os.getpid())

    @app.post("/templates")
    @meters_usage("feature-01-templates")
    def create() -> ResponseReturnValue:
        return str(os.getpid()), 201

    @app.get("/stream")
    @meters_usage("feature-01-templates", streamed=tens)
    def stream() -> ResponseReturnValue:
        return Told.by(request.args).stream()

    if os.environ.get("ASK_WHILE_LOADING"):
        subject = Subject("customer-demo-01")
        assert guard_from(app).check(subject, "feature-03-custom-domain").allowed
    return app
