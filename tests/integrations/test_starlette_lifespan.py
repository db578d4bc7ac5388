"""How guards begin and end with a Starlette or FastAPI application, or part of one."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.testclient import TestClient

from sidecar_client.local import LocalSidecar
from stigg_guard import AsyncGuard, ConfigurationError, Guard, Settings, Subject
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    guard_from,
    guard_lifespan,
    meters_usage,
    requires_feature,
)
from tests.behaviour.frameworks.starlette_ import customer_of
from tests.behaviour.routes import DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, guard_options


@requires_feature(DOMAIN)
async def domains(request: Request) -> PlainTextResponse:
    return PlainTextResponse("domains")


@meters_usage(TEMPLATES)
async def create(request: Request) -> PlainTextResponse:
    return PlainTextResponse("created")


ROUTES: list[BaseRoute] = [Route("/domains", domains), Route("/create", create)]


def guard_of(sidecar: LocalSidecar, **settings: Any) -> AsyncGuard:
    return AsyncGuard(target=sidecar.target, timeout=5.0, write_timeout=5.0, **settings)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[AsyncGuard]:
    """The guards that were ended, in order; they are ended all the same."""
    seen: list[AsyncGuard] = []
    close = AsyncGuard.aclose

    async def noted(guard: AsyncGuard) -> None:
        seen.append(guard)
        await close(guard)

    monkeypatch.setattr(AsyncGuard, "aclose", noted)
    return seen


def left_in_outbox(path: Path, target: str) -> None:
    """Usage of three units, stored for a sidecar that was away."""
    settings = Settings.from_options(
        {"target": target, "outbox": str(path), "outbox_worker": False}, owner="Guard"
    )
    guard = Guard(settings)
    assert guard.report(Subject(WITHIN), TEMPLATES, 3) == "stored"
    guard.close()


@pytest.mark.parametrize("kind", ["middleware", "guard_lifespan", "FastAPI"])
def test_usage_that_waits_is_delivered_from_the_start(
    sidecar: LocalSidecar, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "outbox.sqlite3"
    left_in_outbox(path, "127.0.0.1:9")
    options = guard_options(sidecar, outbox=str(path))
    app: Starlette
    if kind == "guard_lifespan":
        guard = guard_of(sidecar, outbox=str(path))
        app = Starlette(lifespan=guard_lifespan(guard))
    elif kind == "FastAPI":
        app = FastAPI()
        app.add_middleware(StiggGuardMiddleware, **options)
    else:
        app = Starlette(middleware=[Middleware(StiggGuardMiddleware, **options)])
    with TestClient(app):
        pass  # no request at all; what waits is sent by the end of it
    assert used(sidecar, WITHIN) == 6


def test_outbox_that_only_a_person_can_mend_stops_the_start(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    options = guard_options(sidecar, outbox=str(tmp_path))  # a directory
    app = Starlette(middleware=[Middleware(StiggGuardMiddleware, **options)])
    with pytest.raises(ConfigurationError, match="outbox"), TestClient(app):
        pass


def test_outbox_that_is_away_does_not_stop_the_start(
    sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    options = guard_options(sidecar, outbox="redis://127.0.0.1:9/0", drain_timeout=0.1)
    guard = Middleware(StiggGuardMiddleware, **options)
    app = Starlette(routes=ROUTES, middleware=[guard])
    with caplog.at_level(logging.WARNING, "stigg_guard"), TestClient(app) as client:
        assert client.get("/domains", headers=AS_WITHIN).status_code == 200
    assert "The outbox cannot be opened yet" in caplog.text


@asynccontextmanager
async def own(app: Any) -> AsyncGenerator[dict[str, str]]:
    app.extra_log.append("started")
    yield {"database": "open"}
    app.extra_log.append("ended")


def logging_app(lifespan: Any, **options: Any) -> tuple[Starlette, list[str]]:
    app = Starlette(lifespan=lifespan, **options)
    log: list[str] = []
    app.extra_log = log  # type: ignore[attr-defined]
    return app, log


def test_own_lifespan_runs_inside_and_its_state_is_the_applications(
    sidecar: LocalSidecar, ended: list[AsyncGuard]
) -> None:
    guard = guard_of(sidecar)

    async def state(request: Request) -> JSONResponse:
        return JSONResponse({"database": request.state.database})

    app, log = logging_app(
        guard_lifespan(guard, lifespan=own),
        routes=[Route("/state", state), *ROUTES],
        middleware=[
            Middleware(StiggGuardMiddleware, guard=guard, customer=customer_of)
        ],
    )
    with TestClient(app) as client:
        assert log == ["started"]
        assert client.get("/state").json() == {"database": "open"}
        assert client.get("/domains", headers=AS_WITHIN).status_code == 200
        assert client.get("/domains", headers=AS_AT_LIMIT).status_code == 402
        assert ended == []
    assert log == ["started", "ended"]
    assert ended == [guard]


def test_guards_end_when_the_own_lifespan_fails(
    sidecar: LocalSidecar, ended: list[AsyncGuard]
) -> None:
    @asynccontextmanager
    async def failing(app: Starlette) -> AsyncGenerator[None]:
        if app.routes == []:
            raise LookupError("no database")
        yield

    guard = guard_of(sidecar)
    app = Starlette(lifespan=guard_lifespan(guard, lifespan=failing))
    with pytest.raises(LookupError, match="no database"), TestClient(app):
        pass
    assert ended == [guard]


def test_guard_that_was_given_ends_with_nobody_but_its_owner(
    sidecar: LocalSidecar, ended: list[AsyncGuard]
) -> None:
    guard = guard_of(sidecar)
    given = Middleware(StiggGuardMiddleware, guard=guard, customer=customer_of)
    with TestClient(Starlette(routes=ROUTES, middleware=[given])) as client:
        client.get("/domains", headers=AS_WITHIN)
    assert ended == []


def mounted(sidecar: LocalSidecar) -> Starlette:
    inner = FastAPI(routes=ROUTES)
    inner.add_middleware(StiggGuardMiddleware, **guard_options(sidecar))
    return Starlette(routes=[Mount("/deep", inner)])


@pytest.mark.parametrize("around", ["guard_lifespan", "middleware"])
def test_guard_of_a_mounted_application_works_and_ends_with_the_one_around(
    sidecar: LocalSidecar, ended: list[AsyncGuard], around: str
) -> None:
    routes = [Mount("/api", mounted(sidecar))]
    if around == "middleware":
        app = Starlette(
            routes=routes,
            middleware=[Middleware(StiggGuardMiddleware, **guard_options(sidecar))],
        )
    else:
        app = Starlette(routes=routes, lifespan=guard_lifespan())
    with TestClient(app) as client:
        assert client.get("/api/deep/domains", headers=AS_WITHIN).status_code == 200
        assert client.get("/api/deep/domains", headers=AS_AT_LIMIT).status_code == 402
        assert client.get("/api/deep/create", headers=AS_WITHIN).status_code == 200
        assert ended == []
    assert len(ended) == (2 if around == "middleware" else 1)
    assert used(sidecar, WITHIN) == 4


def test_guard_below_a_guard_ends_once(
    sidecar: LocalSidecar, ended: list[AsyncGuard]
) -> None:
    guard = Middleware(StiggGuardMiddleware, **guard_options(sidecar))
    inner = Starlette(routes=ROUTES, middleware=[guard])
    between = Starlette(routes=[Mount("/inner", inner)], middleware=[guard])
    app = Starlette(routes=[Mount("/between", between)], middleware=[guard])
    with TestClient(app) as client:
        response = client.get("/between/inner/domains", headers=AS_WITHIN)
        assert response.status_code == 200
    assert len(ended) == len(set(ended)) == 3


def test_several_applications_of_a_process_have_their_own_guards(
    sidecar: LocalSidecar,
) -> None:
    async def policy(request: Request) -> PlainTextResponse:
        return PlainTextResponse(guard_from(request).settings.on_unavailable)

    def application(on_unavailable: str) -> Starlette:
        options = guard_options(sidecar, on_unavailable=on_unavailable)
        return Starlette(
            routes=[Route("/", policy)],
            middleware=[Middleware(StiggGuardMiddleware, **options)],
        )

    with (
        TestClient(application("allow")) as one,
        TestClient(application("deny")) as other,
    ):
        assert (one.get("/").text, other.get("/").text) == ("allow", "deny")


def test_application_is_started_again_after_its_end(sidecar: LocalSidecar) -> None:
    options = guard_options(sidecar)
    guard = Middleware(StiggGuardMiddleware, **options)
    app = Starlette(routes=ROUTES, middleware=[guard])
    for expected in (4, 5):
        with TestClient(app) as client:
            assert client.get("/create", headers=AS_WITHIN).status_code == 200
        assert used(sidecar, WITHIN) == expected


def test_lifespan_says_what_it_was_given_in_place_of_a_guard() -> None:
    with pytest.raises(ConfigurationError, match=r"give it guards, and your own"):
        guard_lifespan(own)  # type: ignore[arg-type]
