"""A request that the sidecar does not carry out, as a gRPC status.

The error and the validation of single request fields live here; no verdict does.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Literal

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar_client.local.identifiers import Kind, id_problem
from sidecar_client.local.values import EARLIEST, LATEST, TIME_RANGE

Code = Literal[
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "UNIMPLEMENTED",
]


class Refusal(Exception):
    """The status to answer with: its code, and a message with field, value and cure."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message


def checked_id(kind: Kind, value: str, *, where: str = "") -> str:
    """The id, if it can be one."""
    if problem := id_problem(kind, value):
        raise Refusal("INVALID_ARGUMENT", f"{where}{kind}_id: {problem}.")
    return value


def checked_number(field: str, value: float, *, least: float | None = None) -> float:
    """The number, if it is finite and not below `least`."""
    if not math.isfinite(value):
        raise Refusal("INVALID_ARGUMENT", f"{field} is {value}; use a finite number.")
    if least is not None and value < least:
        raise Refusal(
            "INVALID_ARGUMENT", f"{field} is {value:g}; use {least:g} or more."
        )
    return value


def checked_moment(field: str, value: Timestamp) -> datetime:
    """The moment in UTC, if the timestamp is one."""
    try:
        moment = value.ToDatetime(tzinfo=UTC)
        if EARLIEST <= moment < LATEST:
            return moment
    except (ValueError, OverflowError):
        pass  # Answered below, like every other time that is none.
    raise Refusal(
        "INVALID_ARGUMENT",
        f"{field} is {value.seconds} s {value.nanos} ns; {TIME_RANGE}.",
    )
