"""Monkey-patched standard libraries: what each client does under gevent and eventlet.

Nothing is patched here.
"""

from __future__ import annotations

import sys
import threading
from typing import Final

from sidecar_client.errors import ConfigurationError

_lock: Final = threading.Lock()
_prepared = False


def gevent_is_patched() -> bool:
    """Tell whether gevent replaced the standard library's sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))


def eventlet_is_patched() -> bool:
    """Tell whether eventlet replaced the standard library's sockets."""
    patcher = sys.modules.get("eventlet.patcher")
    return patcher is not None and bool(patcher.is_monkey_patched("socket"))


def prepare_sync() -> None:
    """Make grpc yield to gevent's hub, before the first channel; refuse eventlet."""
    global _prepared  # init_gevent works once in a process and its children
    _refuse_eventlet("SyncStigg")
    if not gevent_is_patched():
        return
    with _lock:
        if not _prepared:
            from grpc.experimental.gevent import init_gevent

            init_gevent()
            _prepared = True


def check_async() -> None:
    """Refuse the patched libraries under which an asyncio call would never return."""
    _refuse_eventlet("Stigg")
    if gevent_is_patched():
        raise ConfigurationError(
            "Stigg cannot be used: gevent has patched this process, and asyncio calls "
            "over gRPC never return there; use SyncStigg, which works with gevent."
        )


def _refuse_eventlet(client: str) -> None:
    if eventlet_is_patched():
        raise ConfigurationError(
            f"{client} cannot be used: eventlet has patched this process, and a gRPC "
            "call would block every green thread; use threads, gevent or asyncio."
        )
