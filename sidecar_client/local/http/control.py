"""`/local/clock`, `/local/faults` and `/local/about`: the sidecar as it is played with.

Requests and answers live here; clock and faults themselves do not.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.clock import MovableClock
from sidecar_client.local.duration import Duration
from sidecar_client.local.faults import (
    CODES,
    METHODS,
    ActiveFault,
    Fault,
    FaultError,
    Refuse,
)
from sidecar_client.local.http.answers import model_of
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.shown import limited, shown, written
from sidecar_client.local.values import TIME_RANGE, ZonedMoment

_MOST_PROBLEM = 4000
_TOO_FAR = f"it leads out of the calendar; {TIME_RANGE}"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _duration(value: object) -> Duration:
    """Seconds, or what a text says; an error in our words for everything else."""
    duration = None
    try:
        if isinstance(value, str):
            duration = Duration.read(value)
        elif _is_number(value):
            time = timedelta(seconds=cast("float", value))
            duration = Duration(months=0, time=time, text=written(value))
    except OverflowError:
        raise ValueError(f"is {written(value)}; {_TOO_FAR}") from None
    if duration is None:
        raise ValueError(
            f"is {written(value)}; use a number of seconds, or a duration such as "
            "P1DT12H, or P1M for a month of the calendar"
        )
    return duration


def _is_number(value: object) -> bool:
    # What differs from itself is NaN.
    return isinstance(value, int | float) and not (
        isinstance(value, bool) or value != value
    )


class ClockMove(_Asked):
    """Where to put the clock: `advance` by a time, or `set` to one."""

    advance: Annotated[Duration, PlainValidator(_duration)] | None = None
    """Seconds, or an ISO 8601 duration such as `P1DT12H`."""
    set: ZonedMoment | None = None


class AskedFault(_Asked):
    """A fault as it is posted."""

    refuse: Refuse | None = None
    code: str | None = None
    delay: float = 0.0
    methods: Annotated[tuple[str, ...], Field(strict=False, max_length=50)] = ()
    share: float = 1.0


def routes(parts: Parts) -> list[BaseRoute]:
    """The clock, the faults, and what runs here."""
    return [*_clock(parts.clock), *_faults(parts), *_about(parts)]


def _clock(clock: MovableClock) -> list[BaseRoute]:
    def told() -> Response:
        return JSONResponse(
            {"now": iso(clock()), "moved_seconds": clock.moved.total_seconds()}
        )

    async def tell(_: Request) -> Response:
        return told()

    async def move(request: Request) -> Response:
        asked = await model_of(request, ClockMove)
        if (asked.advance is None) == (asked.set is None):
            raise HTTPException(
                400, 'give one of {"advance": SECONDS} and {"set": "2026-01-31T00:00Z"}'
            )
        if asked.advance is not None:
            _advance(clock, asked.advance)
        elif asked.set is not None:
            clock.set(asked.set)
        return told()

    async def reset(_: Request) -> Response:
        clock.reset()
        return told()

    return [
        Route("/local/clock", tell),
        Route("/local/clock", move, methods=["POST"]),
        Route("/local/clock", reset, methods=["DELETE"]),
    ]


def _advance(clock: MovableClock, by: Duration) -> None:
    now = clock()
    try:
        clock.advance(by.after(now) - now)
    except (OverflowError, ValueError):
        raise HTTPException(400, f"advance is {by.text}; {_TOO_FAR}") from None


def _faults(parts: Parts) -> list[BaseRoute]:
    faults = parts.faults

    async def tell(_: Request) -> Response:
        return JSONResponse(
            {
                "faults": [_told(active) for active in faults.active],
                "codes": CODES,
                "methods": METHODS,
            }
        )

    async def begin(request: Request) -> Response:
        asked = await model_of(request, AskedFault)
        try:
            active = faults.begin(Fault(**asked.model_dump()))
        except FaultError as error:
            raise HTTPException(400, str(error)) from None
        await _follow(parts)
        return JSONResponse(_told(active), 201)

    async def end(request: Request) -> Response:
        number = request.path_params["number"]
        if not re.fullmatch(r"[0-9]{1,9}", number):
            raise HTTPException(404, f"{shown(number)} is no number of a fault")
        try:
            active = faults.end(int(number))
        except FaultError as error:
            raise HTTPException(404, str(error)) from None
        await _follow(parts)
        return JSONResponse(_told(active))

    async def end_all(_: Request) -> Response:
        ended = faults.end_all()
        await _follow(parts)
        return JSONResponse({"ended": ended})

    return [
        Route("/local/faults", tell),
        Route("/local/faults", begin, methods=["POST"]),
        Route("/local/faults", end_all, methods=["DELETE"]),
        Route("/local/faults/{number}", end, methods=["DELETE"]),
    ]


def _about(parts: Parts) -> list[BaseRoute]:
    async def tell(_: Request) -> Response:
        about = parts.about()
        return JSONResponse(
            {
                "version": about.version,
                "target": about.target,
                "catalog": about.catalog,
                "catalog_problem": about.catalog_problem
                and limited(about.catalog_problem, _MOST_PROBLEM),
                "ready": parts.is_ready(),
            }
        )

    return [Route("/local/about", tell)]


async def _follow(parts: Parts) -> None:
    """Listen, or not, as the faults say; the port may be somebody else's by now."""
    try:
        await parts.follow_faults()
    except ConfigurationError as error:
        raise HTTPException(409, str(error)) from None


def _told(active: ActiveFault) -> dict[str, object]:
    fault = active.fault
    return {
        "number": active.number,
        "since": iso(active.since),
        "met": active.met,
        "says": fault.says(),
        "refuse": fault.refuse,
        "code": fault.code,
        "delay": fault.delay,
        "methods": fault.methods,
        "share": fault.share,
    }


def iso(moment: datetime) -> str:
    """The moment in ISO 8601, in UTC with a Z."""
    return moment.isoformat().replace("+00:00", "Z")
