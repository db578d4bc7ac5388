"""The middleware among others in Starlette: mounts, CORS, streams, rules, exempts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Reason
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    guard_exempt,
    guard_from,
    meters_usage,
    requires_feature,
)
from tests.behaviour.frameworks.starlette_ import customer_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, UNKNOWN, WITHIN
from tests.behaviour.usage import used

AS_WITHIN, AS_AT_LIMIT = {"X-Customer": WITHIN}, {"X-Customer": AT_LIMIT}


def guard(sidecar: LocalSidecar, **settings: Any) -> Middleware:
    options: dict[str, Any] = {"customer": customer_of, "timeout": 5, **settings}
    return Middleware(
        StiggGuardMiddleware, target=sidecar.target, write_timeout=5, **options
    )


def rule(path: str, **options: Any) -> dict[str, Any]:
    return {"path": path, "feature": DOMAIN, **options}


def client_of(*routes: BaseRoute, middleware: list[Middleware]) -> TestClient:
    return TestClient(Starlette(routes=list(routes), middleware=middleware))


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("seen")


@requires_feature(DOMAIN)
async def domains(request: Request) -> PlainTextResponse:
    return PlainTextResponse("domains")


def test_application_without_lifespan_is_guarded_too(sidecar: LocalSidecar) -> None:
    mounted = Starlette(routes=[Route("/domains", domains)])
    mounted.add_middleware(
        StiggGuardMiddleware, customer=customer_of, target=sidecar.target, timeout=5
    )
    client = TestClient(Starlette(routes=[Mount("/api", mounted)]))  # no "with"
    for _ in range(2):  # each request has an event loop of its own
        assert client.get("/api/domains", headers=AS_WITHIN).text == "domains"
        assert client.get("/api/domains", headers=AS_AT_LIMIT).status_code == 402


def test_mounted_application_is_guarded_by_the_middleware_around_it(
    sidecar: LocalSidecar,
) -> None:
    async def required(request: Request) -> PlainTextResponse:
        subject = customer_of(request)
        assert subject is not None
        await guard_from(request).require(subject, DOMAIN)
        return PlainTextResponse("seen")

    routes = [
        Route("/domains", domains),
        Route("/ruled", plain),
        Route("/required", required),
    ]
    mounted = Starlette(routes=routes)
    rules = [rule("/api/ruled")]
    middleware = [guard(sidecar, rules=rules)]
    with client_of(Mount("/api", mounted), middleware=middleware) as client:
        for path in ("/api/required", "/api/domains", "/api/ruled"):
            assert client.get(path, headers=AS_WITHIN).status_code == 200
            assert client.get(path, headers=AS_AT_LIMIT).status_code == 402


def test_rules_of_a_mounted_application_are_about_its_own_paths(
    sidecar: LocalSidecar,
) -> None:
    mounted = Starlette(
        routes=[Route("/ruled", plain)],
        middleware=[guard(sidecar, rules=[rule("/ruled")])],
    )
    routes = Mount("/api", mounted), Route("/ruled", plain)
    with client_of(*routes, middleware=[]) as client:
        assert client.get("/api/ruled", headers=AS_AT_LIMIT).status_code == 402
        assert client.get("/ruled", headers=AS_AT_LIMIT).status_code == 200


def test_background_task_runs_after_a_metered_response(sidecar: LocalSidecar) -> None:
    seen: list[float] = []

    @meters_usage(TEMPLATES)
    async def create(request: Request) -> PlainTextResponse:
        def note() -> None:
            seen.append(used(sidecar, WITHIN))

        return PlainTextResponse("created", background=BackgroundTask(note))

    route = Route("/", create, methods=["POST"])
    with client_of(route, middleware=[guard(sidecar)]) as client:
        assert client.post("/", headers=AS_WITHIN).text == "created"
    assert seen == [4]


def test_streaming_response_is_metered_when_it_begins(sidecar: LocalSidecar) -> None:
    seen: list[float] = []

    @meters_usage(TEMPLATES)
    async def export(request: Request) -> StreamingResponse:
        def rows() -> Iterator[str]:
            seen.append(used(sidecar, WITHIN))
            yield "a\n"
            yield "b\n"

        return StreamingResponse(rows())

    with client_of(Route("/", export), middleware=[guard(sidecar)]) as client:
        assert client.get("/", headers=AS_WITHIN).text == "a\nb\n"
    assert seen == [4]


class Stamp(BaseHTTPMiddleware):
    """Marks every response, as applications do."""

    async def dispatch(
        self, request: Request, call_next: RequestResponseEndpoint
    ) -> Response:
        response = await call_next(request)
        response.headers["X-Stamp"] = str(response.status_code)
        return response


@pytest.mark.parametrize("place", ["around", "inside"])
def test_base_http_middleware_stands_around_or_inside(
    sidecar: LocalSidecar, place: str
) -> None:
    middleware = [Middleware(Stamp), guard(sidecar)]
    if place == "inside":
        middleware.reverse()

    @meters_usage(TEMPLATES)
    async def create(request: Request) -> PlainTextResponse:
        return PlainTextResponse("created")

    with client_of(Route("/", create), middleware=middleware) as client:
        allowed = client.get("/", headers=AS_WITHIN)
        denied = client.get("/", headers=AS_AT_LIMIT)
    assert (allowed.status_code, allowed.headers["x-stamp"]) == (200, "200")
    assert denied.status_code == 402
    assert denied.headers["x-stamp"] == "402"
    assert used(sidecar, WITHIN) == 4


def test_denial_carries_the_headers_of_cors_around_it(sidecar: LocalSidecar) -> None:
    cors = Middleware(CORSMiddleware, allow_origins=["https://app.example"])
    middleware = [cors, guard(sidecar)]
    with client_of(Route("/", domains), middleware=middleware) as client:
        response = client.get(
            "/", headers={**AS_AT_LIMIT, "Origin": "https://app.example"}
        )
    assert response.status_code == 402
    assert response.headers["access-control-allow-origin"] == "https://app.example"


def test_newline_at_the_end_is_no_way_around_a_rule(sidecar: LocalSidecar) -> None:
    middleware = [guard(sidecar, rules=[rule("/ruled")])]
    with client_of(Route("/ruled", plain), middleware=middleware) as client:
        assert client.get("/ruled%0A", headers=AS_WITHIN).text == "seen"
        assert client.get("/ruled%0A", headers=AS_AT_LIMIT).status_code == 402


def test_rule_sees_the_path_parameters_of_the_route(sidecar: LocalSidecar) -> None:
    def customer(connection: HTTPConnection) -> str:
        return str(connection.path_params["customer"])

    rules = [rule("/customers/{id}/domains", customer=customer)]
    route = Route("/customers/{customer}/domains", plain)
    with client_of(route, middleware=[guard(sidecar, rules=rules)]) as client:
        assert client.get(f"/customers/{WITHIN}/domains").status_code == 200
        assert client.get(f"/customers/{AT_LIMIT}/domains").status_code == 402


class Mixed(HTTPEndpoint):
    """One exempt method, one that is not."""

    @guard_exempt
    async def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("got")

    async def post(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("posted")


def test_exemption_is_found_behind_mounts_classes_and_other_middleware(
    sidecar: LocalSidecar,
) -> None:
    exempt = guard_exempt(asynchronous_copy())
    inner = Starlette(routes=[Route("/exempt", exempt), Route("/mixed", Mixed)])
    routes = [Mount("/deep", routes=[Mount("/er", inner)]), Route("/deep/ruled", plain)]
    middleware = [guard(sidecar, rules=[rule("/deep/*")]), Middleware(Stamp)]
    with client_of(*routes, middleware=middleware) as client:
        for method, path, status in (
            ("GET", "/deep/er/exempt", 200),
            ("GET", "/deep/er/mixed", 200),
            ("HEAD", "/deep/er/mixed", 200),
            ("POST", "/deep/er/mixed", 402),
            ("GET", "/deep/ruled", 402),
            ("GET", "/deep/nowhere", 402),
        ):
            response = client.request(method, path, headers=AS_AT_LIMIT)
            assert (path, response.status_code) == (path, status)


def asynchronous_copy() -> Any:
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("exempt")

    return view


def test_decorator_on_an_exempt_endpoint_still_holds(sidecar: LocalSidecar) -> None:
    endpoint = requires_feature(DOMAIN)(guard_exempt(asynchronous_copy()))
    middleware = [guard(sidecar, rules=[rule("/", methods=["GET"])])]
    with client_of(Route("/", endpoint), middleware=middleware) as client:
        assert client.get("/", headers=AS_AT_LIMIT).status_code == 402
        assert client.get("/", headers=AS_WITHIN).status_code == 200
    assert sidecar.calls == {"GetEntitlement": 2}


def test_rule_and_decorator_that_ask_the_same_ask_once(sidecar: LocalSidecar) -> None:
    middleware = [guard(sidecar, rules=[rule("/domains")])]
    with client_of(Route("/domains", domains), middleware=middleware) as client:
        assert client.get("/domains", headers=AS_WITHIN).status_code == 200
    assert sidecar.calls == {"GetEntitlement": 1}


def test_denial_that_leads_elsewhere_is_no_success_of_what_a_rule_meters(
    sidecar: LocalSidecar,
) -> None:
    @requires_feature(UNKNOWN, on_denied={Reason.FEATURE_NOT_FOUND: 402})
    async def view(request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    middleware = [
        guard(
            sidecar,
            rules=[{"path": "/", "meters": TEMPLATES}],
            html="redirect",
            upgrade_url="/plans",
        )
    ]
    with client_of(Route("/", view), middleware=middleware) as client:
        response = client.get(
            "/", headers={**AS_WITHIN, "Accept": "text/html"}, follow_redirects=False
        )
    assert (response.status_code, response.headers["location"]) == (303, "/plans")
    assert used(sidecar, WITHIN) == 3


def test_wrong_setting_stops_the_application_when_it_starts(
    sidecar: LocalSidecar,
) -> None:
    middleware = [guard(sidecar, on_unavailable="maybe")]
    message = r'on_unavailable=...\) is "maybe"; use "allow" or "deny"'
    with (
        pytest.raises(ConfigurationError, match=message),
        client_of(middleware=middleware),
    ):
        pass


def test_resolver_is_given_as_a_dotted_path(sidecar: LocalSidecar) -> None:
    dotted = "tests.behaviour.frameworks.starlette_.customer_of"
    middleware = [guard(sidecar, customer=dotted)]
    with client_of(Route("/", domains), middleware=middleware) as client:
        assert client.get("/", headers=AS_WITHIN).status_code == 200
        assert client.get("/", headers=AS_AT_LIMIT).status_code == 402


def test_error_after_the_response_began_reaches_the_server(
    sidecar: LocalSidecar,
) -> None:
    @meters_usage(TEMPLATES)
    async def export(request: Request) -> StreamingResponse:
        async def rows() -> AsyncIterator[str]:
            yield "a\n"
            raise RuntimeError("out of rows")

        return StreamingResponse(rows())

    with (
        client_of(Route("/", export), middleware=[guard(sidecar)]) as client,
        pytest.raises(RuntimeError, match="out of rows"),
    ):
        client.get("/", headers=AS_WITHIN)
    assert used(sidecar, WITHIN) == 4
