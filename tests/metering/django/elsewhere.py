"""What another connection to the database sees and does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def start(function: Callable[[], T]) -> Future[T]:
    """Begin it in a thread of its own, which closes its connections at its end."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            try:
                found = function()
            finally:
                connections.close_all()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(found)

    threading.Thread(target=run, daemon=True).start()
    return future


def elsewhere(function: Callable[[], T]) -> T:
    """What it gives on a connection of its own."""
    return start(function).result(30)
