"""Three guarded routes in FastAPI: metered, boolean and numeric.

`uvicorn example_project.fastapi_app:app`; the customer is named in `X-Customer`.
"""

from __future__ import annotations

import os

from fastapi import Depends, FastAPI, Request
from starlette.requests import HTTPConnection

from example_project.places import outbox
from stigg_guard_starlette import StiggGuardMiddleware, meters_usage, requires_feature
from stigg_guard_starlette.fastapi import requires


def customer_of(connection: HTTPConnection) -> str:
    """A real application would look up a session or a token."""
    return connection.headers.get("X-Customer", "customer-demo-01")


app = FastAPI(title="Revvenu")
app.add_middleware(
    StiggGuardMiddleware,
    target=os.environ.get("REVVENU_SIDECAR", "local"),
    local_port=int(os.environ.get("REVVENU_SIDECAR_PORT", "8443")),
    customer=customer_of,
    # Usage that is not acknowledged waits here, and is reported later.
    outbox=outbox("fastapi"),
    # The local sidecar answers with all it was told; a real one lags a little more.
    usage_seen_within=5,
    upgrade_url="/plans",
)


@app.post("/templates", status_code=201)
@meters_usage("feature-01-templates")
async def create_template() -> dict[str, str]:
    """Takes one template of the plan's limit."""
    return {"created": "template"}


@app.get("/domain")
@requires_feature("feature-03-custom-domain")
async def domain() -> dict[str, str]:
    """Only for plans with custom domains."""
    return {"domain": "mail.revvenu.example"}


@app.post(
    "/uploads",
    status_code=201,
    dependencies=[Depends(requires("feature-06-max-file-size", at_least=25))],
)
async def upload(request: Request) -> dict[str, int]:
    """Only for plans that take files of 25 MB."""
    return {"received": len(await request.body())}


@app.get("/plans")
async def plans() -> dict[str, list[str]]:
    """Where a 402 leads to."""
    return {"plans": ["Free", "Essentials", "Scale"]}
