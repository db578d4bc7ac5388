"""What each framework's `routes_of` finds: every place where a guard may stand."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import include, path, re_path
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST
from fastapi import APIRouter, Depends, FastAPI, WebSocket
from flask import Blueprint, Flask
from flask.views import MethodView
from rest_framework.decorators import api_view
from rest_framework.viewsets import ViewSet
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket as StarletteWebSocket

import stigg_guard_django as in_django
import stigg_guard_flask as in_flask
import stigg_guard_starlette as in_starlette
from stigg_guard import asgi, guard_exempt
from stigg_guard.routing import GuardedRoute
from stigg_guard_django import drf
from stigg_guard_django.routes import routes_of as django_routes_of
from stigg_guard_flask.routes import routes_of as flask_routes_of
from stigg_guard_starlette.fastapi import meters, requires
from stigg_guard_starlette.routes import routes_of as starlette_routes_of
from tests.integrations.django_site import configure, project

configure()

RULE = {"path": "/ruled/*", "feature": "ruled"}


def told(routes: Iterable[GuardedRoute]) -> list[str]:
    """Rows as lines: methods, path, needs, source."""
    return [
        " | ".join(
            (" ".join(r.methods), r.path, " + ".join(r.requirements), r.source)
        ).strip()
        for r in routes
    ]


# Django


def plain(request: HttpRequest, **_: object) -> HttpResponse:
    return HttpResponse("plain")


guarded = in_django.requires_feature("f")(plain)


class Classes(View):
    @in_django.requires_feature("get")
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")

    @guard_exempt
    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("post")


@method_decorator(in_django.requires_feature("all"), name="dispatch")
class Whole(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")


class Urls:
    urlpatterns: ClassVar = [
        path("plain/", plain, name="plain"),
        path("f/", guarded),
        path("post/", require_POST(guarded)),
        path(
            "ruled/",
            include(
                (
                    [
                        path("<int:pk>/", guarded, name="one"),
                        path("class/<slug:name>/", Classes.as_view()),
                    ],
                    "shop",
                ),
                namespace="shop",
            ),
        ),
        path("whole/", Whole.as_view(), name="whole"),
        re_path(r"^old/(?P<year>[0-9]{4})/$", plain, name="old"),
    ]


def test_routes_of_a_django_project_tell_decorators_rules_and_classes() -> None:
    with project(rules=[RULE]), override_settings(ROOT_URLCONF=Urls):
        found = list(django_routes_of())
    assert told(found) == [
        "| /plain/ |  |",
        "| /f/ | f | decorator",
        "POST | /post/ | f | decorator",
        "| /ruled/<int:pk>/ | f + ruled | decorator, rule 0",
        "GET | /ruled/class/<slug:name>/ | get + ruled | decorator, rule 0",
        "POST | /ruled/class/<slug:name>/ |  | exempt",
        "GET | /whole/ | all | decorator",
        "| /old/(?P<year>[0-9]{4})/ |  |",
    ]
    assert [row.name for row in found] == [
        "plain",
        f"{__name__}.plain",
        f"{__name__}.plain",
        "shop:one",
        f"shop:{__name__}.Classes",
        f"shop:{__name__}.Classes",
        "whole",
        "old",
    ]


def test_django_rule_for_one_path_belongs_to_the_route_that_gets_it() -> None:
    rules = [{"path": "/ruled/class/new/", "feature": "ruled"}]
    with project(rules=rules), override_settings(ROOT_URLCONF=Urls):
        found = told(django_routes_of())
    assert "GET | /ruled/class/new/ | get + ruled | decorator, rule 0" in found
    assert "GET | /ruled/class/<slug:name>/ | get | decorator" in found


def test_django_rule_reaches_a_route_by_its_own_template() -> None:
    rules = [{"path": "/ruled/<int:pk>/", "feature": "ruled"}]
    with project(rules=rules), override_settings(ROOT_URLCONF=Urls):
        found = told(django_routes_of())
    assert "| /ruled/<int:pk>/ | f + ruled | decorator, rule 0" in found


def test_django_rules_are_found_by_name_and_namespace_too() -> None:
    rules = [{"name": "whole", "feature": "n"}, {"namespace": "shop", "feature": "s"}]
    with project(rules=rules), override_settings(ROOT_URLCONF=Urls):
        found = told(django_routes_of())
    assert found[3:7] == [
        "| /ruled/<int:pk>/ | f + s | decorator, rule 1",
        "GET | /ruled/class/<slug:name>/ | get + s | decorator, rule 1",
        "POST | /ruled/class/<slug:name>/ |  | exempt",
        "GET | /whole/ | all + n | decorator, rule 0",
    ]


class Mixed(in_django.RequiresFeatureMixin, in_django.MetersUsageMixin, View):
    feature = "mixed"
    feature_by_method = MappingProxyType({"DELETE": None})
    meters = "metered"
    metered_methods = ("POST",)

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")

    post = delete = get


class Hooked(in_django.RequiresFeatureMixin, View):
    def get_requirement(self) -> str:
        return "of-the-request"

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("get")


def test_mixins_of_classes_are_told_per_method() -> None:
    views: dict[str, Any] = {
        "mixed/": Mixed.as_view(),
        "given/": Mixed.as_view(feature="given"),
        "hooked/": Hooked.as_view(),
    }
    with project(views):
        assert told(django_routes_of()) == [
            "GET | /mixed/ | mixed | mixin",
            "POST | /mixed/ | mixed + metered (meters 1) | mixin",
            "DELETE | /mixed/ |  |",
            "GET | /given/ | given | mixin",
            "POST | /given/ | given + metered (meters 1) | mixin",
            "DELETE | /given/ |  |",
            "GET | /hooked/ | get_requirement() | mixin",
        ]


# Old versions of ninja do not know newer ones of pydantic.
@pytest.mark.filterwarnings("ignore:Support for class-based:DeprecationWarning")
def test_operations_of_django_ninja_are_told_per_method() -> None:
    from ninja import NinjaAPI

    api = NinjaAPI(docs_url=None, openapi_url=None, urls_namespace="told")

    @api.get("/items")
    @in_django.requires_feature("get")
    def items(request: HttpRequest) -> str:
        return "items"

    @api.post("/items")
    def create(request: HttpRequest) -> str:
        return "created"

    class ApiUrls:
        urlpatterns: ClassVar = [path("api/", api.urls)]

    with project(), override_settings(ROOT_URLCONF=ApiUrls):
        found = told(django_routes_of())
    assert "GET | /api/items | get | decorator" in found
    assert "POST | /api/items |  |" in found


def test_needs_in_an_api_of_rest_framework_are_told_where_they_stand() -> None:
    @api_view(["GET", "POST"])
    @drf.requires_feature("decorated")
    def decorated(request: object) -> HttpResponse:
        return HttpResponse("decorated")

    class Items(drf.GuardedViewSetMixin, ViewSet):
        permission_classes = (drf.requires("permitted"),)
        stigg_requirements: ClassVar = {"create": drf.meters("created")}

        def list(self, request: object) -> HttpResponse:
            return HttpResponse("list")

        def create(self, request: object) -> HttpResponse:
            return HttpResponse("create")

    items: Any = Items
    views: dict[str, Any] = {
        "decorated/": decorated,
        "items/": items.as_view({"get": "list", "post": "create"}),
    }
    with project(views):
        assert told(django_routes_of()) == [
            "GET POST | /decorated/ | decorated | decorator",
            "GET | /items/ | permitted | permission",
            "POST | /items/ | permitted + created (meters 1) | permission, action",
        ]


# Flask


def test_routes_of_a_flask_application_tell_decorators_rules_and_classes() -> None:
    app = Flask(__name__)
    in_flask.StiggGuard(app, customer=lambda: "c", rules=[RULE])

    @app.get("/f")
    @in_flask.requires_feature("f")
    def f() -> str:
        return "f"

    @app.post("/ruled/<name>")
    @in_flask.meters_usage("m", value=2)
    def ruled(name: str) -> str:
        return name

    class Items(MethodView):
        init_every_request = False

        @in_flask.requires_feature("get")
        def get(self) -> str:
            return "get"

        def post(self) -> str:
            return "post"

    app.add_url_rule("/items", view_func=Items.as_view("items"))

    @app.get("/ruled/open")
    @guard_exempt
    def is_open() -> str:
        return "open"

    assert told(flask_routes_of(app)) == [
        "GET | /static/<path:filename> |  |",
        "GET | /f | f | decorator",
        "POST | /ruled/<name> | m (meters 2) + ruled | decorator, rule 0",
        "GET | /items | get | decorator",
        "POST | /items |  |",
        "GET | /ruled/open |  | exempt",
    ]


def test_flask_rules_are_found_by_endpoint_and_blueprint_too() -> None:
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__)
    inner.get("/deep", endpoint="deep")(lambda: "deep")
    outer.register_blueprint(inner)
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(outer)
    rules = [
        {"namespace": "outer", "feature": "o"},
        {"namespace": "outer.inner", "feature": "i"},
        {"name": "outer.inner.deep", "feature": "d"},
        {"namespace": "inner", "feature": "x"},
    ]
    in_flask.StiggGuard(app, customer=lambda: "c", rules=rules)
    assert told(flask_routes_of(app)) == [
        "GET | /deep | o + i + d | rule 0, rule 1, rule 2"
    ]


def test_routes_of_a_flask_application_without_a_guard_are_unguarded() -> None:
    (row,) = flask_routes_of(Flask(__name__))
    assert (row.path, row.name) == ("/static/<path:filename>", "static")
    assert not row.is_guarded


# Starlette


@in_starlette.requires_feature("f")
async def starlette_f(request: Request) -> Response:
    return PlainTextResponse("f")


async def starlette_plain(request: Request) -> Response:
    return PlainTextResponse("plain")


class Endpoints(HTTPEndpoint):
    @in_starlette.requires_feature("get")
    async def get(self, request: Request) -> Response:
        return PlainTextResponse("get")

    @guard_exempt
    async def post(self, request: Request) -> Response:
        return PlainTextResponse("post")


@in_starlette.requires_feature("socket")
async def socket(websocket: StarletteWebSocket) -> None:
    await websocket.accept()


def test_routes_of_a_starlette_application_tell_mounts_classes_and_sockets() -> None:
    below = Starlette(
        routes=[Route("/deep/{id:int}", starlette_f, methods=["POST"], name="deep")],
        middleware=[
            Middleware(
                in_starlette.StiggGuardMiddleware,
                rules=[{"path": "/deep/*", "feature": "below"}],
            )
        ],
    )
    app = Starlette(
        routes=[
            Route("/f", starlette_f),
            Route("/ruled/class", Endpoints),
            WebSocketRoute("/ws", socket),
            Mount("/ruled/mount", routes=[Route("/plain", starlette_plain)]),
            Mount("/below", app=below),
            Mount("/ruled/static", app=StaticFiles(directory="."), name="static"),
        ],
        middleware=[
            Middleware(in_starlette.StiggGuardMiddleware, customer=str, rules=[RULE])
        ],
    )
    expected = [
        "GET | /f | f | decorator",
        "GET | /ruled/class | get + ruled | decorator, rule 0",
        "POST | /ruled/class |  | exempt",
        "WEBSOCKET | /ws | socket | decorator",
        "GET | /ruled/mount/plain | ruled | rule 0",
        "POST | /below/deep/{id:int} | f + below | decorator, rule 0 of /below",
        "| /ruled/static/{path:path} | ruled | rule 0",
    ]
    assert told(starlette_routes_of(app)) == expected


def test_routes_are_found_behind_the_middleware_around_an_application() -> None:
    app: Any = Starlette(routes=[Route("/ruled/plain", starlette_plain)])
    app = in_starlette.StiggGuardMiddleware(app, rules=[RULE])
    assert told(starlette_routes_of(app)) == ["GET | /ruled/plain | ruled | rule 0"]
    guard = app.guard
    app = Starlette(routes=[Route("/ruled/plain", starlette_plain)])
    app = asgi.StiggGuardMiddleware(app, guard=guard)
    assert told(starlette_routes_of(app)) == ["GET | /ruled/plain | ruled | rule 0"]


# FastAPI


def test_routes_of_a_fastapi_application_tell_dependencies_of_every_level() -> None:
    nested = APIRouter(dependencies=[Depends(requires("nested"))])

    @nested.get("/deep")
    async def deep() -> None: ...

    router = APIRouter(dependencies=[Depends(requires("router"))])

    @router.get("/plain")
    async def in_router() -> None: ...

    @router.post("/metered", dependencies=[Depends(meters("m"))])
    async def metered() -> None: ...

    @router.websocket("/ws")
    async def ws(websocket: WebSocket) -> None: ...

    router.include_router(nested, prefix="/nested")
    every = requires("every")
    app = FastAPI(openapi_url=None, dependencies=[Depends(every)])
    app.include_router(router, prefix="/ruled")
    app.add_middleware(in_starlette.StiggGuardMiddleware, customer=str, rules=[RULE])

    @app.get("/decorated", dependencies=[Depends(every)])
    @in_starlette.requires_feature("f", at_least=2)
    async def decorated(q: int = 0) -> None: ...

    def user(_: None = Depends(requires("user"))) -> str:
        return "user"

    @app.get("/behind")
    async def behind(who: str = Depends(user)) -> str:
        return who

    found = told(starlette_routes_of(app))
    assert sorted(found) == sorted(
        [
            "GET | /ruled/plain | every + router + ruled | dependency, rule 0",
            "POST | /ruled/metered | every + router + m (meters 1) + ruled"
            " | dependency, rule 0",
            "WEBSOCKET | /ruled/ws | every + router + ruled | dependency, rule 0",
            "GET | /ruled/nested/deep | every + router + nested + ruled"
            " | dependency, rule 0",
            "GET | /decorated | every + f (at least 2) | dependency, decorator",
            "GET | /behind | every + user | dependency",
        ]
    )
