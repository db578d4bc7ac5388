"""Flask's hello view; the vendor's stack is asyncio, so it needs a loop from somewhere.

`vendor` runs a loop for each request, as the frameworks' own bridges do. `vendor, own
thread` keeps one loop in a thread and one channel on it: more work, and faster.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from flask import Flask

from bench.apps.variant import (
    IS_GUARDED,
    SETTINGS,
    TARGET,
    VARIANT,
    next_customer,
    question,
)
from bench.clients import vendor_question, vendor_stub
from bench.question import DEADLINE, FEATURE
from sidecar_client import SyncStigg

Answer = str | tuple[str, int]
client = SyncStigg(target=TARGET or "127.0.0.1:1", timeout=DEADLINE)


def bare() -> Answer:
    return "hello"


def by_hand() -> Answer:
    if not client.get_entitlement(question()).has_access:
        return "upgrade", 402
    return "hello"


async def _ask_once() -> bool:
    stub = vendor_stub(TARGET)
    try:
        answer = await stub.get_entitlement(vendor_question(next_customer()))
        return bool(answer.has_access)
    finally:
        stub.channel.close()


def vendor() -> Answer:
    return "hello" if asyncio.run(_ask_once()) else ("upgrade", 402)


class _Loop:
    """A loop in a thread, with one channel; made by the first request."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._stub: Any = None

    def ask(self) -> bool:
        return asyncio.run_coroutine_threadsafe(self._ask(), self._loop).result()

    async def _ask(self) -> bool:
        if self._stub is None:
            self._stub = vendor_stub(TARGET)
        answer = await self._stub.get_entitlement(vendor_question(next_customer()))
        return bool(answer.has_access)


_lock = threading.Lock()
_loops: list[_Loop] = []


def vendor_own_thread() -> Answer:
    with _lock:
        if not _loops:
            _loops.append(_Loop())
    return "hello" if _loops[0].ask() else ("upgrade", 402)


VIEWS = {
    "bare": bare,
    "by hand": by_hand,
    "vendor": vendor,
    "vendor, own thread": vendor_own_thread,
}


def _app() -> Flask:
    flask = Flask(__name__)
    if not IS_GUARDED:
        flask.get("/hello")(VIEWS[VARIANT])
        return flask
    from stigg_guard_flask import StiggGuard, requires_feature

    StiggGuard(flask, customer=next_customer, **SETTINGS)
    flask.get("/hello")(requires_feature(FEATURE)(bare))
    return flask


app = _app()
