"""State that belongs to one process: a forked child starts with none of its parent's.

No gRPC here: only who owns what, and what a child must never touch.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

State = TypeVar("State")


class Connected(Protocol):
    """Something open that a fork would break when it is in use."""

    def pause(self) -> None:
        """Be out of use when this returns, as far as that can be; a fork follows."""
        ...

    def resume(self) -> None:
        """Be usable again, in the process that forked."""
        ...


class Process:
    """The identity of one process; a fork makes a new one."""

    __slots__ = ("pid",)

    def __init__(self) -> None:
        self.pid = os.getpid()


_current = Process()
_open: weakref.WeakSet[Connected] = weakref.WeakSet()
# A destructor of the parent's channel would hang or crash the child, so none ever runs.
_inherited: list[Connected] = []
_paused: list[Connected] = []
_LONGEST_WAIT: Final = 1.0
_opening = threading.RLock()
_held: list[threading.RLock] = []


def this_process() -> Process:
    """Return the same object until the process forks, also behind Python's back."""
    if _current.pid != os.getpid():
        _forget_the_parent()
    return _current


def opening() -> threading.RLock:
    """Return the lock to hold while something is opened: no fork comes between."""
    this_process()
    return _opening


def belongs_to_this_process(connection: Connected) -> None:
    """Note an open connection, so that a forked child keeps its hands off it."""
    _open.add(connection)


def inherited() -> tuple[Connected, ...]:
    """Return what the parents of this process had open when they forked."""
    this_process()
    return tuple(_inherited)


class PerProcess(Generic[State]):
    """Holds one state per process, made on first use."""

    __slots__ = ("_make", "_states")

    def __init__(self, make: Callable[[], State]) -> None:
        self._make = make
        self._states: dict[Process, State] = {}

    def get(self) -> State:
        """Return this process's state; threads that race get the same one."""
        process = this_process()
        state = self._states.get(process)
        if state is None:
            # No lock: one held by another thread at the fork would stay locked here.
            state = self._states.setdefault(process, self._make())
        return state


def _pause() -> None:
    # Bounded: a fork must come, even from a signal handler amid an opening.
    if _opening.acquire(timeout=_LONGEST_WAIT):
        _held.append(_opening)
    for connection in list(_open):
        connection.pause()
        _paused.append(connection)


def _resume() -> None:
    while _paused:
        _paused.pop().resume()
    while _held:
        _held.pop().release()


def _forget_the_parent() -> None:
    global _current, _opening  # the one place where the process changes
    _current, _opening = Process(), threading.RLock()
    _inherited.extend(_open)
    _open.clear()
    _paused.clear()
    _held.clear()


os.register_at_fork(
    before=_pause, after_in_parent=_resume, after_in_child=_forget_the_parent
)
