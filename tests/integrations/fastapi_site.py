"""A guarded FastAPI application for the tests of its adapter, and two customers."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.testclient import TestClient

from sidecar_client.local import LocalSidecar
from stigg_guard_starlette import StiggGuardMiddleware
from tests.behaviour.frameworks.starlette_ import customer_of
from tests.behaviour.routes import AT_LIMIT, WITHIN

AS_WITHIN: Final = {"X-Customer": WITHIN}
AS_AT_LIMIT: Final = {"X-Customer": AT_LIMIT}


def guard_options(sidecar: LocalSidecar, **settings: Any) -> dict[str, Any]:
    """The settings of a guard that asks this sidecar, without hurry."""
    return {
        "customer": customer_of,
        "target": sidecar.target,
        "timeout": 5,
        "write_timeout": 5,
        **settings,
    }


def site(sidecar: LocalSidecar, **settings: Any) -> FastAPI:
    """An application without endpoints."""
    app = FastAPI()
    app.add_middleware(StiggGuardMiddleware, **guard_options(sidecar, **settings))
    return app


def statuses(app: FastAPI, method: str, path: str, **options: Any) -> tuple[int, int]:
    """What the customer within limits gets, and the one at the limit."""
    with TestClient(app, follow_redirects=False) as client:
        within = client.request(method, path, headers=AS_WITHIN, **options)
        at_limit = client.request(method, path, headers=AS_AT_LIMIT, **options)
    return within.status_code, at_limit.status_code
