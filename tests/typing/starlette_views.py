"""Guarded endpoints of Starlette keep their types; mypy and pyright check this file."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import assert_type

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from stigg_guard import AsyncGuard, Decision, LazyEntitlements, Usage
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    decision_from,
    entitlements_from,
    guard_exempt,
    guard_from,
    guard_lifespan,
    install_handlers,
    meters_usage,
    requires_all,
    requires_any,
    requires_feature,
    usage_from,
)
from stigg_guard_starlette.context_processors import stigg


def customer_of(request: Request) -> str | None:
    return request.headers.get("x-customer")


async def count_of(request: Request) -> int:
    return int((await request.json())["count"])


def to_plans(request: Request, decision: Decision) -> PlainTextResponse:
    return PlainTextResponse(decision.explanation, 402)


@requires_feature("feature-03-custom-domain", on_denied=to_plans, shadow=True)
async def domains(request: Request) -> JSONResponse:
    return JSONResponse({})


@meters_usage("feature-01-templates", value=count_of, message="No more templates.")
def create(request: Request) -> PlainTextResponse:
    return PlainTextResponse("created")


@requires_any("feature-01-templates", "feature-03-custom-domain")
@requires_all("feature-04-analytics")
@guard_exempt
async def looked_up(request: Request) -> PlainTextResponse:
    assert_type(guard_from(request), AsyncGuard)
    assert_type(usage_from(request), Usage)
    assert_type(decision_from(request), Decision | None)
    entitlements = entitlements_from(request)
    assert_type(entitlements, LazyEntitlements)
    assert_type(await entitlements.ahas("feature-03-custom-domain"), bool)
    assert_type(await entitlements.aremaining("feature-01-templates"), float)
    return PlainTextResponse("looked up")


class Domains(HTTPEndpoint):
    @requires_feature("feature-03-custom-domain", customer=customer_of)
    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse({})


async def call_them(request: Request, page: Domains) -> None:
    """Parameters keep their names, and answers their types."""
    assert_type(await domains(request=request), JSONResponse)
    assert_type(create(request), PlainTextResponse)
    assert_type(await looked_up(request), PlainTextResponse)
    assert_type(await page.get(request), JSONResponse)
    create(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@asynccontextmanager
async def own_lifespan(app: Starlette) -> AsyncGenerator[dict[str, str]]:
    yield {"database": "open"}


guard = AsyncGuard(target="127.0.0.1:80")
app = Starlette(
    routes=[Route("/domains", domains), Route("/create", create, methods=["POST"])],
    middleware=[
        Middleware(
            StiggGuardMiddleware,
            guard=guard,
            customer=customer_of,
            templates=Jinja2Templates("templates", context_processors=[stigg]),
        )
    ],
    lifespan=guard_lifespan(guard, lifespan=own_lifespan),
)
install_handlers(app, guard=guard)
