"""The routes of the REST API: every endpoint, its keys, and what is not there.

What an endpoint does is told by the module of its concept.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.rest import (
    currencies,
    customers,
    entitlements,
    features,
    package_entitlements,
    packages,
    products,
    promotions,
    subscriptions,
    usage,
    wallets,
)
from sidecar_client.local.http.rest.endpoints import AnyEndpoint
from sidecar_client.local.http.rest.openapi import document
from sidecar_client.local.http.rest.statuses import error
from sidecar_client.local.management.idempotency import Answers, Given
from sidecar_client.local.shown import limited
from sidecar_client.local.stores.base import StoreError

logger = logging.getLogger("sidecar_client.local")

ENDPOINTS: Final[tuple[AnyEndpoint, ...]] = (
    *customers.endpoints.all,
    *entitlements.endpoints.all,
    *promotions.endpoints.all,
    *subscriptions.endpoints.all,
    *usage.endpoints.all,
    *features.endpoints.all,
    *products.endpoints.all,
    *packages.endpoints.all,
    *package_entitlements.endpoints.all,
    *currencies.endpoints.all,
    *wallets.endpoints.all,
)
"""All endpoints."""
NOT_SIMULATED: Final = (
    "/v1-beta/",
    "/v1/contracts",
    "/v1/coupons",
    "/v1/data-export/",
    "/v1/credits/reservations/",
)
"""Paths of the vendor's API, or their beginnings, that are answered with 501."""
_PARTS_NOT_SIMULATED: Final = (
    "/contracts",
    "/integrations",
    "/invoice/",
    "/invoices",
    "/future-update/",
    "/payment-method",
    "/usage/charge",
    "/usage/sync",
)
_PREFIX: Final = "/api"
_KEY: Final = "X-API-KEY"
_ONCE: Final = "Idempotency-Key"
_MOST_KEY: Final = 255
_ALL: Final = [
    "GET",
    "HEAD",
    "POST",
    "PATCH",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
]


def routes(parts: Parts) -> list[BaseRoute]:
    """All endpoints below `/api`, and errors in their form for everything else."""
    by_path: dict[str, dict[str, AnyEndpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    # What is spelled out comes before an id that could be anything.
    paths = sorted(by_path, key=lambda path: path.replace("{", "~"))
    answers = Answers(parts.world)
    return [
        Route(f"{_PREFIX}/v1/openapi.json", _openapi),
        *(_route(parts, answers, path, by_path[path]) for path in paths),
        Route(f"{_PREFIX}/{{rest:path}}", _nothing, methods=_ALL),
    ]


def _route(
    parts: Parts, answers: Answers, path: str, methods: Mapping[str, AnyEndpoint]
) -> BaseRoute:
    async def respond(request: Request) -> Response:
        if not request.headers.get(_KEY):
            return _no_key()
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            return _not_allowed(request, methods)
        body = await request.body()

        async def answer() -> Response:
            return await endpoint.respond(
                parts, request.path_params, request.query_params, body
            )

        key = request.headers.get(_ONCE)
        try:
            await parts.world.index()  # Raises where the store has lost everything.
            if key is None or endpoint.method != "POST":
                return await answer()
            return await _once(answers, key, request, body, answer)
        except StoreError as failure:
            logger.warning("%s: %s", endpoint.name, failure)
            return error(503, "UNAVAILABLE", str(failure), is_passing=True)

    return Route(f"{_PREFIX}{path}", respond, methods=_ALL)


async def _once(
    answers: Answers,
    key: str,
    request: Request,
    body: bytes,
    answer: Callable[[], Awaitable[Response]],
) -> Response:
    """The answer that the key got before, or gets now."""
    if not 1 <= len(key) <= _MOST_KEY:
        return error(
            400,
            "INVALID_ARGUMENT",
            f"{_ONCE} has {len(key)} characters; use 1 to {_MOST_KEY}.",
        )

    async def given() -> Given:
        response = await answer()
        return Given(status=response.status_code, body=bytes(response.body).decode())

    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body
    found = await answers.once(key, asked, given)
    if found == "another_request":
        return error(
            409,
            "ALREADY_EXISTS",
            f"{_ONCE} {key!r} was used for another request; use another key.",
        )
    if found == "being_answered":
        return error(
            409,
            "ALREADY_EXISTS",
            f"the request with the {_ONCE} {key!r} is being answered; ask again.",
            is_passing=True,
        )
    repeated = {"Idempotent-Replayed": "true"} if found.is_repeated else {}
    if found.status >= 400:
        repeated["x-should-retry"] = "true" if found.status == 503 else "false"
    return Response(found.body, found.status, repeated, media_type="application/json")


async def _openapi(request: Request) -> JSONResponse:
    return JSONResponse(document(ENDPOINTS))


def _no_key() -> JSONResponse:
    return error(
        401,
        "UNAUTHENTICATED",
        f"the header {_KEY} is missing; send a key, here any will do.",
    )


def _not_allowed(request: Request, methods: Mapping[str, AnyEndpoint]) -> Response:
    allowed = ", ".join(methods)
    answer = error(
        405,
        "METHOD_NOT_ALLOWED",
        f"{limited(request.url.path, 200)} does not take {request.method}; "
        f"use {allowed}.",
    )
    answer.headers["Allow"] = allowed
    return answer


async def _nothing(request: Request) -> JSONResponse:
    path = limited(request.url.path, 200)
    below = request.url.path.removeprefix(_PREFIX)
    if not request.headers.get(_KEY):
        return _no_key()
    if below.startswith(NOT_SIMULATED) or any(
        part in below for part in _PARTS_NOT_SIMULATED
    ):
        return error(
            501,
            "UNIMPLEMENTED",
            f"{path} is a part of the vendor's API that the local sidecar does not "
            f"simulate; what it does is at {_PREFIX}/v1/openapi.json.",
        )
    return error(
        404,
        "NOT_FOUND",
        f"there is nothing at {path}; what there is: {_PREFIX}/v1/openapi.json.",
    )
