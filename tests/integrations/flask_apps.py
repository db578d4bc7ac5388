"""Flask applications for tests: an extension against a sidecar, and how to ask them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from flask import Flask, request
from werkzeug.test import TestResponse

from stigg_guard_flask import StiggGuard, guard_from
from tests.behaviour.routes import WITHIN

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HTMX = {"HX-Request": "true", "Accept": "*/*"}


def customer_of() -> str | None:
    return request.headers.get("X-Customer")


class HasTarget(Protocol):
    """A sidecar that says where it listens."""

    @property
    def target(self) -> str: ...


@contextmanager
def guarded_app(
    sidecar: HasTarget, app: Flask | None = None, **settings: Any
) -> Generator[Flask]:
    """An application with the extension, which is closed at the end."""
    app = app or Flask(__name__)
    options: dict[str, Any] = {
        "customer": customer_of,
        "timeout": 5,
        "write_timeout": 5,
        **settings,
    }
    StiggGuard(app, target=sidecar.target, **options)
    yield app
    guard_from(app).close()


def ask(
    app: Flask,
    path: str = "/",
    customer: str = WITHIN,
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    **options: Any,
) -> TestResponse:
    """What the application answers to a customer."""
    sent = {"X-Customer": customer, **(headers or {})}
    return app.test_client().open(path, method=method, headers=sent, **options)
