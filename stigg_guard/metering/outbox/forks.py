"""Forks of the process: what a store keeps in it is told before and after.

What a store does then is its own: a child must use no connection of its parent's.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Keeps locks, threads or connections that a child must not inherit."""

    def before_fork(self) -> None:
        """The process is about to fork; nothing may be in progress then."""

    def after_fork(self, *, in_child: bool) -> None:
        """It has forked; called in the parent and in the child."""


_watched: weakref.WeakValueDictionary[int, Forkable] = weakref.WeakValueDictionary()


def watch(forkable: Forkable) -> None:
    """Tell it of every fork, for as long as somebody keeps it."""
    _watched[id(forkable)] = forkable


def _kept() -> list[Forkable]:
    # A list made at once: other threads may add to the dictionary meanwhile.
    return [it for ref in _watched.valuerefs() if (it := ref()) is not None]


def _before() -> None:
    for forkable in _kept():
        forkable.before_fork()


def _in_parent() -> None:
    for forkable in _kept():
        forkable.after_fork(in_child=False)


def _in_child() -> None:
    for forkable in _kept():
        forkable.after_fork(in_child=True)


os.register_at_fork(
    before=_before, after_in_parent=_in_parent, after_in_child=_in_child
)
