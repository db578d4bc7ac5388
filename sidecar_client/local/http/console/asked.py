"""Parameters of the console's requests, checked.

Only reading them lives here.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request

from sidecar_client.local.shown import shown

_MOST_TEXT = 300


def text_of(request: Request, name: str) -> str:
    """A parameter of the address; empty without it."""
    text = request.query_params.get(name, "")
    if len(text) > _MOST_TEXT:
        raise HTTPException(
            400, f"{name} has {len(text)} characters; use {_MOST_TEXT} at most"
        )
    return text


def choice_of(request: Request, name: str, choices: Sequence[str]) -> str:
    """A parameter that is one of these, the first without it."""
    text = text_of(request, name) or choices[0]
    if text not in choices:
        raise HTTPException(
            400, f"{name} is {shown(text)}; use one of: {', '.join(choices)}"
        )
    return text


def whole_of(request: Request, name: str, default: int, *, most: int) -> int:
    """A parameter that is a whole number from 0 (1 for a limit) to `most`."""
    text = text_of(request, name)
    least = 1 if name == "limit" else 0
    if not text:
        return default
    if text.isascii() and text.isdecimal() and least <= int(text) <= most:
        return int(text)
    raise HTTPException(
        400, f"{name} is {shown(text)}; use a whole number from {least} to {most}"
    )
