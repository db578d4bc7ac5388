"""Guarded Flask views: sync and async, their functions, and when usage is reported."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pytest
from flask import Blueprint, Flask, Request, Response, abort, current_app, request
from flask.typing import ResponseReturnValue
from flask.views import MethodView
from werkzeug.test import TestResponse

from sidecar_client.local import LocalSidecar
from stigg_guard import Subject, specs_of
from stigg_guard_flask import (
    StiggGuard,
    guard_from,
    meters_usage,
    requires_any,
    requires_feature,
)
from stigg_guard_flask.requests import current_scope
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used

P = ParamSpec("P")
R = TypeVar("R")


def customer_of() -> str | None:
    return request.headers.get("X-Customer")


async def customer_of_later() -> str | None:
    await asyncio.sleep(0)
    return customer_of()


@pytest.fixture
def app(sidecar: LocalSidecar) -> Iterator[Flask]:
    """An application with the extension, against the sidecar."""
    app = Flask(__name__)
    StiggGuard(app, target=sidecar.target, customer=customer_of, timeout=5)
    yield app
    guard_from(app).close()


def answer(app: Flask, method: str, path: str, customer: str = WITHIN) -> TestResponse:
    client = app.test_client()
    return client.open(path, method=method, headers={"X-Customer": customer})


def test_async_view_is_guarded_and_stays_async(
    app: Flask, sidecar: LocalSidecar
) -> None:
    @app.post("/templates/<name>")
    @meters_usage(TEMPLATES)
    async def create(name: str) -> ResponseReturnValue:
        await asyncio.sleep(0)
        return name

    assert inspect.iscoroutinefunction(create)
    assert list(inspect.signature(create).parameters) == ["name"]
    assert create.__name__ == "create"
    assert answer(app, "POST", "/templates/home").text == "home"
    assert used(sidecar, WITHIN) == 4
    assert answer(app, "POST", "/templates/home", AT_LIMIT).status_code == 402


@pytest.mark.parametrize("is_async", [True, False])
def test_async_resolver_works_for_sync_and_async_views(
    sidecar: LocalSidecar, is_async: bool
) -> None:
    app = Flask(__name__)
    StiggGuard(app, target=sidecar.target, customer=customer_of_later, timeout=5)

    async def later() -> str:
        return "later"

    view: Callable[[], Any] = later if is_async else lambda: "now"
    app.add_url_rule("/", "view", requires_feature(DOMAIN)(view))
    assert answer(app, "GET", "/").status_code == 200
    assert answer(app, "GET", "/", AT_LIMIT).status_code == 402
    guard_from(app).close()


def test_functions_take_nothing_or_the_request(
    app: Flask, sidecar: LocalSidecar
) -> None:
    def units(request: Request) -> int:
        return int(request.args["units"])

    def units_of_nothing() -> int:
        return int(request.args["units"])

    of: tuple[Callable[..., int], ...] = (units_of_nothing, units)
    for number, value in enumerate(of):
        view = meters_usage(TEMPLATES, value=value)(lambda: "created")
        app.add_url_rule(f"/{number}", str(number), view, methods=["POST"])
    assert answer(app, "POST", "/0?units=2").status_code == 200
    assert used(sidecar, WITHIN) == 5
    assert answer(app, "POST", "/1?units=1").status_code == 200
    assert used(sidecar, WITHIN) == 6


def test_optional_arguments_of_a_function_are_left_alone(app: Flask) -> None:
    def staff(default: str = "no") -> bool:
        return request.args.get("staff", default) == "yes"

    view = requires_feature(DOMAIN, exempt_when=staff)(lambda: "hello")
    app.add_url_rule("/", "view", view)
    assert answer(app, "GET", "/?staff=yes", AT_LIMIT).status_code == 200
    assert answer(app, "GET", "/", AT_LIMIT).status_code == 402


def test_function_of_two_arguments_is_refused_where_it_is_written() -> None:
    def units(size: int, count: int) -> int:
        return size * count

    decorate = meters_usage(TEMPLATES, value=units)
    with pytest.raises(TypeError, match="of nothing or of the request"):
        decorate(lambda: "never")


def test_customer_and_resource_of_a_view_come_from_its_url(app: Flask) -> None:
    @app.get("/sites/<site>")
    @requires_feature(
        DOMAIN,
        customer=lambda: Subject(WITHIN),
        resource=lambda: (request.view_args or {})["site"],
    )
    def site(site: str) -> ResponseReturnValue:
        return site

    assert answer(app, "GET", "/sites/site-01", AT_LIMIT).status_code == 200
    unknown = answer(app, "GET", "/sites/site-99", AT_LIMIT)
    assert unknown.status_code == 403
    assert unknown.json is not None
    assert unknown.json["reason"] == "CUSTOMER_RESOURCE_NOT_FOUND"


def test_blueprint_is_guarded_as_a_whole(app: Flask, sidecar: LocalSidecar) -> None:
    premium = Blueprint("premium", __name__, url_prefix="/premium")

    @premium.before_request
    @requires_feature(DOMAIN)
    def only_with_a_custom_domain() -> None:
        """The decorator is all there is to it."""

    premium.add_url_rule("/a", "a", lambda: "a")
    premium.add_url_rule("/b", "b", requires_feature(DOMAIN)(lambda: "b"))
    app.register_blueprint(premium)
    app.add_url_rule("/free", "free", lambda: "free")
    assert answer(app, "GET", "/premium/a").text == "a"
    assert answer(app, "GET", "/premium/a", AT_LIMIT).status_code == 402
    assert answer(app, "GET", "/free", AT_LIMIT).status_code == 200
    sidecar.calls.clear()
    assert answer(app, "GET", "/premium/b").text == "b"
    assert sidecar.calls == {"GetEntitlement": 1}


def test_methods_and_whole_class_views_are_guarded(
    app: Flask, sidecar: LocalSidecar
) -> None:
    class Templates(MethodView):
        def get(self) -> ResponseReturnValue:
            return "list"

        @meters_usage(TEMPLATES)
        def post(self) -> ResponseReturnValue:
            return "created"

    class Domains(MethodView):
        decorators = [requires_feature(DOMAIN)]  # noqa: RUF012  # Flask's own way

        def get(self) -> ResponseReturnValue:
            return "domains"

    app.add_url_rule("/templates", view_func=Templates.as_view("templates"))
    app.add_url_rule("/domains", view_func=Domains.as_view("domains"))
    assert answer(app, "GET", "/templates", AT_LIMIT).status_code == 200
    assert answer(app, "POST", "/templates", AT_LIMIT).status_code == 402
    assert answer(app, "POST", "/templates").text == "created"
    assert used(sidecar, WITHIN) == 4
    assert answer(app, "GET", "/domains").text == "domains"
    assert answer(app, "GET", "/domains", AT_LIMIT).status_code == 402


def test_decorated_class_is_refused() -> None:
    with pytest.raises(TypeError, match="decorate its methods"):
        requires_feature(DOMAIN)(MethodView)


def test_foreign_decorator_between_ours_is_kept(app: Flask) -> None:
    def log_in_first(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if "staff" not in request.args:
                abort(401)
            return current_app.ensure_sync(view)(*args, **kwargs)  # type: ignore[no-any-return]  # Flask types it so

        return checked

    @app.get("/")
    @requires_feature(DOMAIN)
    @log_in_first
    @requires_any(TEMPLATES)
    async def both() -> ResponseReturnValue:
        return "in"

    assert len(specs_of(both)) == 2
    assert answer(app, "GET", "/").status_code == 401
    assert answer(app, "GET", "/?staff").text == "in"
    assert answer(app, "GET", "/?staff", AT_LIMIT).status_code == 402


@pytest.mark.parametrize(("raised", "expected"), [(404, 3), (302, 4)])
def test_aborted_view_counts_by_the_status_that_leaves(
    app: Flask, sidecar: LocalSidecar, raised: int, expected: float
) -> None:
    @app.post("/")
    @meters_usage(TEMPLATES)
    def view() -> ResponseReturnValue:
        abort(Response(status=raised))

    assert answer(app, "POST", "/").status_code == raised
    assert used(sidecar, WITHIN) == expected


@pytest.mark.parametrize("registers_first", [True, False])
def test_status_that_a_later_hand_gave_is_what_counts(
    sidecar: LocalSidecar, registers_first: bool
) -> None:
    def fail(response: Response) -> Response:
        response.status_code = 502
        return response

    app = Flask(__name__)
    if registers_first:
        app.after_request(fail)
    StiggGuard(app, target=sidecar.target, customer=customer_of, timeout=5)
    if not registers_first:
        app.after_request(fail)
    app.add_url_rule(
        "/", "view", meters_usage(TEMPLATES)(lambda: "created"), methods=["POST"]
    )
    assert answer(app, "POST", "/").status_code == 502
    assert used(sidecar, WITHIN) == 3
    guard_from(app).close()


def test_function_of_after_request_that_fails_leaves_usage_unreported(
    app: Flask, sidecar: LocalSidecar
) -> None:
    @app.after_request
    def fail(response: Response) -> Response:
        if response.status_code == 200:
            raise OSError("the audit log is full")
        return response

    app.add_url_rule(
        "/", "view", meters_usage(TEMPLATES)(lambda: "created"), methods=["POST"]
    )
    assert answer(app, "POST", "/").status_code == 500
    assert used(sidecar, WITHIN) == 3


@pytest.mark.parametrize("propagates", [True, False])
def test_broken_view_reports_nothing_whatever_counts_as_success(
    app: Flask, sidecar: LocalSidecar, propagates: bool
) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = propagates

    @app.post("/")
    @meters_usage(TEMPLATES, when=lambda status: True)
    def view() -> ResponseReturnValue:
        raise OSError("broken")

    if propagates:
        with pytest.raises(OSError, match="broken"):
            answer(app, "POST", "/")
    else:
        assert answer(app, "POST", "/").status_code == 500
    assert used(sidecar, WITHIN) == 3


def test_view_that_raised_is_not_metered_however_it_is_answered(
    app: Flask, sidecar: LocalSidecar
) -> None:
    app.register_error_handler(OSError, lambda _: ("stored elsewhere", 202))

    @app.post("/")
    @meters_usage(TEMPLATES)
    def view() -> ResponseReturnValue:
        raise OSError("disk full")

    assert answer(app, "POST", "/").status_code == 202
    assert used(sidecar, WITHIN) == 3


def test_usage_is_reported_before_a_stream_begins_and_the_stream_is_untouched(
    app: Flask, sidecar: LocalSidecar
) -> None:
    seen: list[float] = []

    def stream() -> Iterator[str]:
        seen.append(used(sidecar, WITHIN))
        yield "a"
        yield "b"

    app.add_url_rule("/", "view", meters_usage(TEMPLATES)(stream), methods=["POST"])
    response = answer(app, "POST", "/")
    assert response.is_streamed
    assert response.data == b"ab"
    assert seen == [4]


def test_view_called_outside_of_a_request_cycle_is_checked_and_not_metered(
    app: Flask, sidecar: LocalSidecar
) -> None:
    @meters_usage(TEMPLATES)
    def view() -> str:
        return "created"

    with app.test_request_context("/", method="POST", headers={"X-Customer": WITHIN}):
        assert view() == "created"
        scope = current_scope()
        assert len(scope.admissions) == 1
    assert scope.admissions == []
    assert used(sidecar, WITHIN) == 3


def test_application_inside_of_a_request_has_its_own_scope(
    app: Flask, sidecar: LocalSidecar
) -> None:
    @app.get("/inner")
    @requires_feature(DOMAIN)
    def inner() -> ResponseReturnValue:
        return "inner"

    @app.post("/outer")
    @meters_usage(TEMPLATES)
    def outer() -> ResponseReturnValue:
        return answer(app, "GET", "/inner", AT_LIMIT).get_data(), 200

    assert answer(app, "POST", "/outer").status_code == 200
    assert used(sidecar, WITHIN) == 4


def test_requests_in_many_threads_are_each_judged_for_their_own_customer(
    app: Flask,
) -> None:
    app.add_url_rule("/", "view", requires_feature(DOMAIN)(lambda: "hello"))

    def status(number: int) -> int:
        return answer(app, "GET", "/", AT_LIMIT if number % 3 else WITHIN).status_code

    with ThreadPoolExecutor(max_workers=8) as threads:
        statuses = list(threads.map(status, range(48)))
    assert statuses == [402 if number % 3 else 200 for number in range(48)]
