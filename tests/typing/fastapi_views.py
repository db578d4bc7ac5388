"""Guarded endpoints of FastAPI keep their types; mypy and pyright check this file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, assert_type

from fastapi import APIRouter, Depends, FastAPI, WebSocket
from pydantic import BaseModel

from stigg_guard import AsyncGuard, Decision, LazyEntitlements, Usage, feature
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    entitlements_from,
    guard_from,
    guard_lifespan,
    install_handlers,
    meters_usage,
    requires_feature,
)
from stigg_guard_starlette.dependencies import Dependency
from stigg_guard_starlette.fastapi import (
    GuardedRoute,
    document_denials,
    meters,
    requires,
    requires_all,
    requires_any,
)


class Template(BaseModel):
    name: str


guard = AsyncGuard(target="127.0.0.1:80")
app = FastAPI(lifespan=guard_lifespan(guard))
app.add_middleware(StiggGuardMiddleware, guard=guard)
install_handlers(app, guard=guard)
document_denials(app)
router = APIRouter(
    route_class=GuardedRoute, dependencies=[Depends(requires_any("feature-04-x", "y"))]
)

assert_type(requires("feature-03-custom-domain"), Dependency[Decision])
assert_type(
    requires_all(feature("feature-06-max-file-size", at_least=25)),
    Dependency[Decision],
)
assert_type(
    meters("feature-01-templates", value=2, message="No more."), Dependency[Usage]
)


@router.post("/templates")
@meters_usage("feature-01-templates")
async def create(template: Template, *, count: int = 1) -> Template:
    return template


@router.get("/domains")
@requires_feature("feature-03-custom-domain", on_denied="/plans")
def domains(q: str | None = None) -> list[str]:
    return []


@router.get("/numbers")
@requires_feature("feature-03-custom-domain")
async def numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@app.get("/looked-up")
async def looked_up(
    decision: Annotated[Decision, Depends(requires("feature-03-custom-domain"))],
    usage: Annotated[Usage, Depends(meters("feature-01-templates"))],
    entitlements: Annotated[LazyEntitlements, Depends(entitlements_from)],
    asked: Annotated[AsyncGuard, Depends(guard_from)],
) -> bool:
    usage.value = 2
    assert_type(decision.allowed, bool)
    return await entitlements.ahas("feature-03-custom-domain")


@app.websocket("/feed")
@requires_feature("feature-03-custom-domain")
async def feed(websocket: WebSocket, q: str = "") -> None:
    await websocket.accept()


class Service:
    @requires_feature("feature-03-custom-domain")
    async def domains(self, q: int = 0) -> dict[str, int]:
        return {"q": q}


async def call_them() -> None:
    """Parameters keep their names and kinds."""
    assert_type(domains(q="x"), list[str])
    assert_type(await create(Template(name="a"), count=2), Template)
    assert_type(numbers(count=3), AsyncIterator[int])
    assert_type(await Service().domains(q=1), dict[str, int])
    domains(p="x")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await create(Template(name="a"), 2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


app.include_router(router)
