"""What every peer is asked to call, and the results it hands back, as JSON.

How a peer is installed and run, and what the results must be, does not live here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

Operation = Literal["call", "health", "services", "file"]
Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | bool | None"
PATIENCE = 20.0
"""The deadline of a call that is not about deadlines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One step of a script.

    `call` is one of the twelve methods. `health` asks about the service that `method`
    names; `services` and `file` ask server reflection for all services, and for the
    files that define the one `method` names.
    """

    name: str
    method: str
    request: Message | None = None
    timeout: float = PATIENCE
    operation: Operation = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back: a status of gRPC with its message, or OK and the answer."""

    name: str
    status: str
    message: str = ""
    response: Json = None


def tree(message: Message) -> dict[str, Json]:
    """The message as JSON: what has no presence is always there, the rest if set."""
    made = MessageToDict(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return cast("dict[str, Json]", made)


def script_text(calls: Iterable[Call]) -> str:
    """The script as peers read it: one JSON object in a line."""
    return "".join(
        json.dumps(
            {
                "name": call.name,
                "operation": call.operation,
                "method": call.method,
                "timeout": call.timeout,
                "request": None if call.request is None else tree(call.request),
            }
        )
        + "\n"
        for call in calls
    )


def results_of(text: str) -> list[Result]:
    """What a peer printed: one JSON object in a line."""
    found: list[Result] = []
    for line in text.splitlines():
        said = json.loads(line)
        response = said.get("response")
        found.append(
            Result(
                name=said["name"],
                status=said["status"],
                message=said.get("message", ""),
                response=None if response is None else without_nulls(response),
            )
        )
    return found


def without_nulls(value: Json) -> Json:
    """Some libraries print `null` for a message that is not set; others leave it out.

    In the free-form metadata of a currency, null is a value of its own.
    """
    if isinstance(value, dict):
        return {
            key: part if key == "additional_meta_data" else without_nulls(part)
            for key, part in value.items()
            if part is not None
        }
    if isinstance(value, list):
        return [without_nulls(part) for part in value]
    return value
