"""Answers and bodies in JSON, and the errors of reading one.

What every module of routes shares lives here; no route does.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from sidecar_client.local.json_text import NotJson, read_json
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.shape import unfit
from sidecar_client.local.shown import limited, printable

MOST_BODY = 16 * 1024 * 1024
_MOST_MESSAGE = 2000
_MOST_PROBLEMS = 5

_STATUSES = {
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "UNAVAILABLE": 503,
}

_Model = TypeVar("_Model", bound=BaseModel)


def problem(
    status: int, message: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error as JSON: `{"message": ...}`."""
    text = limited(printable(message), _MOST_MESSAGE)
    return JSONResponse({"message": text}, status, headers=headers)


def http_error(request: Request, error: Exception) -> JSONResponse:
    """What Starlette and the routes raise, as JSON."""
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:
        detail = _plain(request, error.status_code) or detail
    return problem(error.status_code, detail, error.headers)


def refusal_error(_: Request, error: Exception) -> JSONResponse:
    """What cannot be done, as JSON."""
    assert isinstance(error, Refusal)
    return problem(_STATUSES.get(error.code, 400), error.message)


def _plain(request: Request, status: int) -> str | None:
    path = limited(request.url.path, 200)
    if status == 404:
        return f"there is nothing at {path}"
    if status == 405:
        return f"{path} does not take {request.method}"
    return None


async def json_of(request: Request) -> object:
    """The body's JSON; HTTP 400 with what is wrong when it has none."""
    try:
        return read_json(await request.body())
    except NotJson as error:
        raise HTTPException(
            400, f"the body is no JSON ({error}); send an object such as {{}}"
        ) from None


async def model_of(request: Request, kind: type[_Model]) -> _Model:
    """The body as a model; HTTP 400 that names each field and value that is wrong."""
    asked = await json_of(request)
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        told = islice(unfit(error, asked, whole="the body"), _MOST_PROBLEMS)
        raise HTTPException(400, "; ".join(told)) from None
