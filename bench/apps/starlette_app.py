"""Starlette's hello view."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bench.apps.variant import (
    IS_GUARDED,
    SETTINGS,
    TARGET,
    VARIANT,
    next_customer,
    question,
)
from bench.clients import vendor_question, vendor_stub
from bench.question import DEADLINE, FEATURE
from sidecar_client import Stigg

client = Stigg(target=TARGET or "127.0.0.1:1", timeout=DEADLINE)
stubs: list[Any] = []


async def bare(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def by_hand(request: Request) -> PlainTextResponse:
    if not (await client.get_entitlement(question())).has_access:
        return PlainTextResponse("upgrade", 402)
    return PlainTextResponse("hello")


async def vendor(request: Request) -> PlainTextResponse:
    if not stubs:
        stubs.append(vendor_stub(TARGET))
    answer = await stubs[0].get_entitlement(vendor_question(next_customer()))
    if not answer.has_access:
        return PlainTextResponse("upgrade", 402)
    return PlainTextResponse("hello")


def _app() -> Starlette:
    if not IS_GUARDED:
        views = {"bare": bare, "by hand": by_hand, "vendor": vendor}
        return Starlette(routes=[Route("/hello", views[VARIANT])])
    from stigg_guard_starlette import StiggGuardMiddleware, requires_feature

    guarded = requires_feature(FEATURE)(bare)
    guard = Middleware(StiggGuardMiddleware, customer=next_customer, **SETTINGS)
    return Starlette(routes=[Route("/hello", guarded)], middleware=[guard])


app = _app()
