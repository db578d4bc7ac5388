"""What an id may look like, in a catalog and on the wire.

The vendor's limits live here; what an id refers to does not.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal[
    "customer",
    "resource",
    "feature",
    "plan",
    "product",
    "add-on",
    "currency",
    "subscription",
    "grant",
]

MAX_LENGTH = 255
_CUSTOMER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_|.@-]*")
_OTHER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_|.-]*")


def id_pattern(kind: Kind) -> str:
    """The regular expression of all ids of a `kind`, but for their length."""
    return f"^{(_CUSTOMER if kind == 'customer' else _OTHER).pattern}$"


def id_problem(kind: Kind, value: str) -> str | None:
    """Why `value` cannot be the id of a `kind`, with the cure; None if it can."""
    if not value:
        return f"the {kind} id is empty; give one"
    if len(value) > MAX_LENGTH:
        return (
            f"the {kind} id has {len(value)} characters ({value[:32]!r}...); "
            f"use at most {MAX_LENGTH}"
        )
    pattern = _CUSTOMER if kind == "customer" else _OTHER
    if pattern.fullmatch(value):
        return None
    at = ", @" if kind == "customer" else ""
    return (
        f"{value!r} is no {kind} id; "
        f"start with a letter or digit, then use letters, digits, _, |, .{at} and -"
    )
