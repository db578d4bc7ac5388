"""Refusals as HTTP: the status of each code, and the body of an error.

What is refused, and with which code, does not live here.
"""

from __future__ import annotations

from pydantic import ValidationError
from starlette.responses import JSONResponse

from sidecar_client.local.http.rest.wire import Problem
from sidecar_client.local.refusal import Code, Refusal
from sidecar_client.local.shown import limited, printable, shown

STATUSES: dict[Code, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "UNIMPLEMENTED": 501,
}
"""The status that each code of a refusal is answered with."""
_MOST_MESSAGE = 2000
_MOST_PROBLEMS = 20
_UNKNOWN = "is not a field here; remove it"


def refused(refusal: Refusal) -> JSONResponse:
    """A refusal as an answer."""
    return error(STATUSES[refusal.code], refusal.code, refusal.message)


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


def misshapen(where: str, invalid: ValidationError) -> JSONResponse:
    """What is wrong with the shape of a body or a query, each field once."""
    found = invalid.errors(include_url=False)
    problems = [
        limited(
            printable(_problem(item["type"], item["loc"], item["input"], item["msg"])),
            _MOST_MESSAGE // 4,
        )
        for item in found[:_MOST_PROBLEMS]
    ]
    return error(400, "INVALID_ARGUMENT", f"{where}: {problems[0]}.", problems=problems)


def _problem(
    kind: str, path: tuple[int | str, ...], value: object, message: str
) -> str:
    place = ".".join(limited(str(step), 60) for step in path)
    if kind == "extra_forbidden":
        return f"{place} {_UNKNOWN}"
    if kind == "missing":
        return f"{place} is missing; add it"
    if kind == "json_invalid":
        return f"is no JSON ({message}); send an object such as {{}}"
    told = message.removeprefix("Value error, ")
    return f"{place or 'the body'} is {shown(value)}: {told}"
