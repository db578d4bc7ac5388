"""Refusals as HTTP: the status of each code, and the body of an error.

What is refused, and with which code, does not live here.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from pydantic import ValidationError
from starlette.responses import JSONResponse

from sidecar_client.local.http.rest.wire import Problem
from sidecar_client.local.json_text import NotJson, read_json
from sidecar_client.local.refusal import Code, Refusal
from sidecar_client.local.shape import unfit
from sidecar_client.local.shown import limited, printable

STATUSES: dict[Code, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
"""The status that each code of a refusal is answered with."""
_MOST_MESSAGE = 2000
_MOST_PROBLEMS = 20
_ENDS = "EOF while parsing"
_DEEP = "recursion limit exceeded"


def refused(refusal: Refusal) -> JSONResponse:
    """A refusal as an answer."""
    is_passing = refusal.code == "UNAVAILABLE"
    status = STATUSES[refusal.code]
    return error(status, refusal.code, refusal.message, is_passing=is_passing)


def error(
    status: int,
    code: str,
    message: str,
    *,
    problems: list[str] | None = None,
    is_passing: bool = False,
) -> JSONResponse:
    """An error as an answer; the vendor's clients try again what is passing."""
    text = limited(printable(message), _MOST_MESSAGE)
    body = Problem(status_code=status, code=code, message=text, errors=problems)
    retry = {"x-should-retry": "true" if is_passing else "false"}
    return JSONResponse(
        body.model_dump(by_alias=True, exclude_none=True), status, headers=retry
    )


def misshapen(
    where: str, invalid: ValidationError, asked: bytes | object
) -> JSONResponse:
    """What is wrong with the shape of a body or a query, each field once."""
    told = islice(_problems(where, invalid, asked), _MOST_PROBLEMS)
    problems = [limited(printable(item), _MOST_MESSAGE // 4) for item in told]
    return error(400, "INVALID_ARGUMENT", f"{where}: {problems[0]}.", problems=problems)


def _problems(
    where: str, invalid: ValidationError, asked: bytes | object
) -> Iterable[str]:
    first = invalid.errors(include_url=False, include_input=False)[0]
    try:
        if first["type"] == "json_invalid":
            said = str(first.get("ctx", {}).get("error"))
            told = said.replace(_ENDS, "it ends within")
            raise NotJson(told.replace(_DEEP, "it is nested too deeply"))
        data = read_json(asked) if isinstance(asked, bytes) else asked
    except NotJson as error:
        return [f"is no JSON ({error}); send an object such as {{}}"]
    return unfit(invalid, data, whole=f"the {where}")
