"""Three guarded routes in FastAPI: metered, boolean and numeric.

`uvicorn example_project.fastapi_app:app`; the customer is named in `X-Customer`.
"""

from __future__ import annotations

import os
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.requests import HTTPConnection

from example_project.places import outbox
from stigg_guard import Decision, LazyEntitlements
from stigg_guard_starlette import (
    StiggGuardMiddleware,
    entitlements_from,
    meters_usage,
    requires_feature,
)
from stigg_guard_starlette.fastapi import document_denials, requires


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


LargeFiles = Annotated[
    Decision, Depends(requires("feature-06-max-file-size", at_least=25))
]


@app.post("/uploads", status_code=201)
async def upload(request: Request, decision: LargeFiles) -> dict[str, float | None]:
    """Only for plans that take files of 25 MB; the decision says how large they are."""
    found = decision.entitlement
    return {
        "received": len(await request.body()),
        "largest": None if found is None else found.value,
    }


@app.get("/menu")
async def menu(
    entitled: Annotated[LazyEntitlements, Depends(entitlements_from)],
) -> dict[str, bool]:
    """What to offer this customer: one question to the sidecar."""
    return {
        "domain": await entitled.ahas("feature-03-custom-domain"),
        "new template": await entitled.ahas("feature-01-templates"),
    }


@app.get("/plans")
async def plans() -> dict[str, list[str]]:
    """Where a 402 leads to."""
    return {"plans": ["Free", "Essentials", "Scale"]}


document_denials(app)  # /docs tells of 402, 403 and 503
