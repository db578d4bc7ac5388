"""FastAPI's hello view; it takes the request, as one that asks for somebody must."""

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

from bench.apps.variant import (
    IS_GUARDED,
    SETTINGS,
    TARGET,
    VARIANT,
    next_customer,
    question,
)
from bench.question import DEADLINE, FEATURE
from sidecar_client import Stigg

client = Stigg(target=TARGET or "127.0.0.1:1", timeout=DEADLINE)


async def bare(request: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


async def by_hand(request: Request) -> PlainTextResponse:
    if not (await client.get_entitlement(question())).has_access:
        return PlainTextResponse("upgrade", 402)
    return PlainTextResponse("hello")


def _app() -> FastAPI:
    api = FastAPI()
    if not IS_GUARDED:
        api.get("/hello")({"bare": bare, "by hand": by_hand}[VARIANT])
        return api
    from stigg_guard_starlette import StiggGuardMiddleware, requires_feature

    api.add_middleware(StiggGuardMiddleware, customer=next_customer, **SETTINGS)
    api.get("/hello")(requires_feature(FEATURE)(bare))
    return api


app = _app()
