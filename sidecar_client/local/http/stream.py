"""`/local/feed`: the live feed as server-sent events.

Their format, heartbeats and resuming live here; the feed itself does not.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from sidecar_client.local.feed import (
    KEPT,
    Batch,
    Feed,
    Happening,
    Subscription,
    TooManySubscribers,
)
from sidecar_client.local.http.control import iso
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.shown import shown

_PAUSE, _CALM_PAUSE = 0.1, 0.3
"""Seconds between two batches; the longer one for people, who cannot read more."""
_MOST_AT_ONCE, _MOST_CALMLY = 250, 50
_RETRY = 1000


def routes(parts: Parts) -> list[BaseRoute]:
    """The stream, resumed after `Last-Event-ID`, or with the latest `?replay=N`.

    With `?calm=1` it tells at most 50 at once, and how many it left out.
    """

    async def follow(request: Request) -> Response:
        after, is_resumed = _after(request, parts.feed)
        try:
            subscription = parts.feed.subscribe(after=after)
        except TooManySubscribers as error:
            raise HTTPException(503, str(error)) from None
        return StreamingResponse(
            events(
                parts,
                subscription,
                is_resumed=is_resumed,
                is_calm=request.query_params.get("calm") == "1",
            ),
            media_type="text/event-stream",
        )

    return [Route("/local/feed", follow)]


def _after(request: Request, feed: Feed) -> tuple[int | None, bool]:
    """The number after which to begin, and whether that goes on from before."""
    last = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if match := re.fullmatch(r"([0-9a-f]{1,16})-(\d{1,18})", last):
        if match[1] == feed.epoch:
            return int(match[2]), True
        return 0, False
    replay = request.query_params.get("replay", "0")
    if not re.fullmatch(r"\d{1,9}", replay):
        raise HTTPException(
            400, f"replay is {shown(replay)}; use a number from 0 to {KEPT}"
        )
    return max(0, feed.last - min(int(replay), feed.kept)), False


async def events(
    parts: Parts, subscription: Subscription, *, is_resumed: bool, is_calm: bool
) -> AsyncIterator[bytes]:
    """The blocks of the stream, until the subscription is closed."""
    feed = parts.feed
    pause, most = _PAUSE, _MOST_AT_ONCE
    with subscription:
        yield f"retry: {_RETRY}\n".encode()
        hello = {"epoch": feed.epoch, "last": feed.last, "resumed": is_resumed}
        yield _event("hello", hello)
        while not subscription.is_closed:
            batch = await subscription.next(within=parts.heartbeat, most=most)
            yield _told(batch, feed) or b": still here\n\n"
            if is_calm:
                # Only now: what is replayed comes as it was asked for.
                pause, most = _CALM_PAUSE, _MOST_CALMLY
            await asyncio.sleep(pause)


def _told(batch: Batch, feed: Feed) -> bytes:
    missed = [_event("missed", {"missed": batch.missed})] if batch.missed else []
    return b"".join(missed + [_happening(item, feed) for item in batch.happenings])


def _happening(happening: Happening, feed: Feed) -> bytes:
    return _event(
        "happening",
        {
            "number": happening.number,
            "at": iso(happening.at),
            "kind": happening.kind,
            "facts": dict(happening.facts),
        },
        id_=f"{feed.epoch}-{happening.number}",
    )


def _event(name: str, data: object, *, id_: str | None = None) -> bytes:
    number = "" if id_ is None else f"id: {id_}\n"
    return f"{number}event: {name}\ndata: {json.dumps(data)}\n\n".encode()
