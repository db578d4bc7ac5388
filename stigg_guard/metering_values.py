"""What the values of metering's settings may be, and what they become.

The other settings' values are in `setting_values`, which calls here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, Final, cast

from stigg_guard.metering.happening import OUTCOMES
from stigg_guard.rate_limit import KINDS, NAMES
from stigg_guard.wrong import Wrong

_HEADER: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REDIS: Final = (
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
)


def holds(value: Any) -> str:
    """`memory`, or the URL of a Redis, which is read when it is opened."""
    if value == "memory":
        return "memory"
    if not isinstance(value, str) or not value.startswith(_REDIS):
        raise Wrong(
            'use "memory" or the URL of a Redis, such as "redis://127.0.0.1:6379/0";'
            f" it may begin with {', '.join(_REDIS)}"
        )
    return value


def outbox(value: Any) -> str | None:
    """A location, or None for a queue in memory."""
    if value is None:
        return None
    if isinstance(value, os.PathLike):
        value = os.fspath(cast("os.PathLike[str]", value))
    if not isinstance(value, str) or not value:
        raise Wrong(
            'use the path of a file, such as "/var/lib/app/usage.db", the URL of a'
            ' Redis, "django", or None'
        )
    return value


def boolean(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise Wrong("use True or False")
    return value


def lasting(value: Any) -> float:
    """Seconds that something stays true: longer than a call takes, at most a day."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("use a number of seconds")
    if not 1 <= value <= 86_400:
        raise Wrong("use a number of seconds from 1 to 86400, such as 30")
    return float(value)


def hooks(value: Any) -> Mapping[str, tuple[Any, ...]]:
    """Functions, or dotted paths or lists of them, by the outcomes they are told of."""
    from stigg_guard.setting_values import function  # it imports this module

    if not isinstance(value, Mapping):
        raise Wrong('use a mapping, such as {"parked": "billing.alert"}')
    given: Mapping[Any, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
    found: dict[str, tuple[Any, ...]] = {}
    for name, wanted in given.items():
        if name not in OUTCOMES:
            raise ValueError(
                f"{name!r} is not an outcome; the outcomes are {', '.join(OUTCOMES)}."
            )
        several: list[Any] = (
            list(wanted) if isinstance(wanted, list | tuple) else [wanted]  # pyright: ignore[reportUnknownArgumentType]
        )
        try:
            found[name] = tuple(_hook(function(item)) for item in several)
        except Wrong as wrong:
            raise ValueError(f'"{name}" is {wanted!r}; {wrong}.') from wrong
    return found


def _hook(found: Any) -> Any:
    if found is None:
        raise Wrong("name a function that takes a Happening")
    return found


def rate_limit_headers(value: Any) -> Mapping[str, str] | None:
    """`ietf`, `x-ratelimit`, or the names of headers by what they tell; None: none."""
    if value is None:
        return None
    if isinstance(value, str):
        if value not in KINDS:
            words = " or ".join(f'"{kind}"' for kind in KINDS)
            raise Wrong(f"use {words}, or a mapping of header names")
        return KINDS[value]
    if not isinstance(value, Mapping) or not value:
        raise Wrong('use "ietf", "x-ratelimit" or a mapping of header names')
    given: Mapping[Any, Any] = dict(value)  # pyright: ignore[reportUnknownArgumentType]
    for name, header in given.items():
        if name not in NAMES:
            raise ValueError(f"{name!r} is not told; use {', '.join(NAMES)}.")
        if not isinstance(header, str) or not _HEADER.fullmatch(header):
            raise ValueError(f'"{name}" is {header!r}; give the name of a header.')
    return dict(given)
