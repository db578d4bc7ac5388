"""What is known of a response when it begins, where no framework has an object for it.

Users' functions get it as `response`, and its headers are completed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from wsgiref.headers import Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseStart:
    """Status and headers of a response; header names may be written in any case."""

    status_code: int
    headers: Headers

    @classmethod
    def of_asgi(cls, message: Mapping[str, Any], status: int) -> ResponseStart:
        """From the message that an ASGI application begins its response with."""
        raw: Iterable[tuple[bytes, bytes]] = message.get("headers") or ()
        decoded = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in raw]
        return cls(status_code=status, headers=Headers(decoded))

    @classmethod
    def of_wsgi(cls, status: str, headers: list[tuple[str, str]]) -> ResponseStart:
        """From what a WSGI application calls `start_response` with."""
        return cls(status_code=int(status[:3]), headers=Headers([*headers]))


_FOR_WHOM: Final = re.compile(r"\b(public|private|no-store|s-maxage)\b", re.IGNORECASE)


def missing(
    wanted: Mapping[str, str], own: Iterable[tuple[str, str]]
) -> dict[str, str]:
    """The headers to set on a response that lacks them; its own are kept as they are.

    But for a `Cache-Control` that does not say for whom the response is good, such as
    `max-age=60`: it is completed.
    """
    said = {name.lower(): value for name, value in own}
    found = {name: value for name, value in wanted.items() if name.lower() not in said}
    caching = said.get("cache-control", "private")
    if wanted.get("Cache-Control") == "private" and not tells_for_whom(caching):
        found["Cache-Control"] = f"{caching}, private"
    return found


def completed(
    wanted: Mapping[str, str], own: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The headers of a response with those that it lacks."""
    added = missing(wanted, own)
    replaced = {name.lower() for name in added}
    return [
        *(pair for pair in own if pair[0].lower() not in replaced),
        *added.items(),
    ]


def tells_for_whom(cache_control: str) -> bool:
    """Whether it says if shared caches may keep the response."""
    return _FOR_WHOM.search(cache_control) is not None
