"""Guarded Flask views keep their types: only type checkers read this file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar, assert_type

from flask import Blueprint, Flask, Request, Response
from flask.typing import ResponseReturnValue
from flask.views import MethodView, View

from stigg_guard import (
    Decision,
    Entitlements,
    Guard,
    LazyEntitlements,
    Subject,
    Usage,
    feature,
)
from stigg_guard_flask import (
    DeniedRequest,
    StiggGuard,
    decision_from,
    entitlements_from,
    guard_blueprint,
    guard_exempt,
    guard_from,
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
    signals,
    usage_from,
)
from stigg_guard_flask.routes import routes_of


def customer_of() -> Subject | None:
    return Subject("customer-1")


async def customer_of_request(request: Request) -> str | None:
    return request.headers.get("X-Customer")


app = Flask(__name__)
StiggGuard(app, customer=customer_of, rules=[{"path": "/a", "feature": "one"}])
StiggGuard(customer=customer_of_request, timeout=1).init_app(app)


@app.get("/sites/<site>")
@requires_feature("feature")
def sites(site: str, *, page: int = 1) -> dict[str, int]:
    return {site: page}


@app.post("/sites")
@requires_any("one", feature("two", at_least=2))
@meters_usage("feature", value=lambda: 2, message="Buy more", shadow=True)
async def create() -> tuple[str, int]:
    return "created", 201


@requires_all("one", "two", on_denied="/plans/")
def stream() -> Iterator[bytes]:
    yield b"chunk"


@guard_exempt
def health() -> str:
    return "fine"


class Pages(MethodView):
    """Its methods are guarded one by one."""

    @requires_feature("feature")
    def get(self, page: int) -> str:
        return str(page)

    @meters_usage("feature")
    async def post(self) -> ResponseReturnValue:
        return "made"


class Page(View):
    """All of its methods are guarded."""

    decorators: ClassVar[list[Callable[..., Any]]] = [requires_feature("feature")]

    @guard_exempt
    def dispatch_request(self) -> ResponseReturnValue:
        return "page"


class Reports(Blueprint):
    """A blueprint of the application's own."""


reports = guard_blueprint(Reports("reports", __name__), requires="feature")
guard_blueprint(
    reports,
    requires=["one", feature("two"), requires_feature("three", at_least=3)],
    meters=meters_usage("feature", value=2),
    methods=["POST"],
)
free = guard_exempt(Reports("free", __name__))


@app.errorhandler(402)
def sorry(error: DeniedRequest) -> ResponseReturnValue:
    assert_type(error.decision, Decision)
    assert_type(error.code, int | None)
    return error.get_response()


def on_denied(app: Flask, decision: Decision) -> None:
    print(app, decision.reason)


signals.access_denied.connect(on_denied, app)


def types_are_kept(pages: Pages) -> None:
    assert_type(sites("a", page=2), dict[str, int])
    assert_type(stream(), Iterator[bytes])
    assert_type(health(), str)
    assert_type(pages.get(1), str)
    assert_type(reports, Reports)
    assert_type(free, Reports)
    later: Callable[[], Awaitable[tuple[str, int]]] = create
    assert callable(later)


def what_a_request_knows() -> Response:
    assert_type(guard_from(), Guard)
    assert_type(guard_from(app), Guard)
    assert_type(usage_from("feature"), Usage)
    assert_type(decision_from("feature"), Decision | None)
    found = entitlements_from()
    assert_type(found, LazyEntitlements)
    assert_type(found.has("feature"), bool)
    assert_type(found.remaining("feature"), float)
    assert_type(found.entitlements, Entitlements)
    return Response(str(list(routes_of(app))))
