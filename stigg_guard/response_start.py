"""What is known of a response when it begins, where no framework has an object for it.

Users' functions get it as `response`, and its headers are completed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
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


def missing(wanted: Mapping[str, str], present: Iterable[str]) -> list[tuple[str, str]]:
    """The headers that a response does not have yet; its own are never replaced."""
    names = {name.lower() for name in present}
    return [
        (name, value) for name, value in wanted.items() if name.lower() not in names
    ]
