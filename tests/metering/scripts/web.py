"""Applications whose view reports an event in the background, for real servers.

`TARGET` in the environment says where the sidecar is.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import stigg_guard_flask
import stigg_guard_starlette


def customer_of(_request: object) -> str:
    return "customer-1"


OPTIONS: dict[str, Any] = {
    "target": os.environ["TARGET"],
    "timeout": 5,
    "write_timeout": 5,
    "drain_timeout": 10,
}

flask_app = Flask(__name__)
stigg_guard_flask.StiggGuard(flask_app, customer=customer_of, **OPTIONS)


@flask_app.post("/")
@stigg_guard_flask.meters_usage(event="email.sent")
def send() -> str:
    return "sent"


@stigg_guard_starlette.meters_usage(event="email.sent")
async def asend(request: Request) -> PlainTextResponse:
    return PlainTextResponse("sent")


starlette_app = Starlette(
    routes=[Route("/", asend, methods=["POST"])],
    middleware=[
        Middleware(
            stigg_guard_starlette.StiggGuardMiddleware,
            customer=customer_of,
            **OPTIONS,
        )
    ],
)
