"""Whom a part of the testing kit holds for: which layers are visible here and now.

A layer is one `with` block of the kit. What a layer says is its own matter.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from typing import Self, TypeVar

from stigg_guard.testing.errors import OverrideError

L = TypeVar("L", bound="Layer")


class Layer:
    """Something that holds from `enter` to `leave`.

    It reaches the code that runs inside it: in the same thread or task, and in tasks
    and threads that were given its context (`asyncio.create_task`, `asyncio.to_thread`,
    asgiref, anyio, test clients). Code of a thread or task that no layer reached, such
    as that of a live server or a pool, is under the one that is active elsewhere; if
    there are several, of which none is inside the other, `OverrideError` is raised.
    With `shared` it holds for the whole process. Of those that are visible the one that
    was entered last comes last. May be left anywhere, in any order.
    """

    is_active = False
    is_shared = False
    chain: tuple[Layer, ...] = ()
    """Those that it was entered in, and itself; none for a shared one."""

    def enter(self, *, shared: bool = False) -> Self:
        """Hold from now on."""
        if self.is_active:
            raise RuntimeError(f"{type(self).__name__} is entered twice; make another.")
        with _lock:
            self.is_active, self.is_shared = True, shared
            _all.append(self)
        if not shared:
            self.chain = (*_alive(_own.get()), self)
            _own.set(self.chain)
        return self

    def noticed(self, problem: str) -> None:
        """Take note of something that the test got wrong."""

    def leave(self) -> None:
        """Hold no more. Does nothing for one that is left already."""
        with _lock:
            self.is_active = False
            if self in _all:
                _all.remove(self)
        _own.set(_alive(_own.get()))


class Standing(Layer):
    """A layer that stands between a guard and its sidecar."""


_own: ContextVar[tuple[Layer, ...]] = ContextVar("stigg_guard_testing", default=())
_all: list[Layer] = []
_lock = threading.Lock()


def visible(kind: type[L]) -> tuple[L, ...]:
    """The layers of a kind that hold here, the innermost last."""
    everywhere = active(Layer)
    if not any(isinstance(layer, kind) for layer in everywhere):
        return ()
    kin = _kin(kind)
    near = tuple(layer for layer in _alive(_own.get()) if isinstance(layer, kin))
    if not near:
        near = _only([layer for layer in everywhere if _is_elsewhere(layer, kin)])
    found = [layer for layer in everywhere if layer.is_shared or layer in near]
    return tuple(layer for layer in found if isinstance(layer, kind))


def _kin(kind: type[Layer]) -> type[Layer]:
    return Standing if issubclass(kind, Standing) else Layer


def active(kind: type[L]) -> tuple[L, ...]:
    """All layers of a kind that hold anywhere."""
    with _lock:
        return tuple(layer for layer in _all if isinstance(layer, kind))


def _alive(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    return tuple(layer for layer in layers if layer.is_active)


def _is_elsewhere(layer: Layer, kin: type[Layer]) -> bool:
    return isinstance(layer, kin) and not layer.is_shared


def _only(found: Sequence[Layer]) -> tuple[Layer, ...]:
    """The chain of those active elsewhere, if it is one."""
    outer = {layer for each in found for layer in each.chain[:-1]}
    ends = [layer for layer in found if layer not in outer]
    if not ends:
        return ()
    if len(ends) > 1:
        raise _several(ends)
    return _alive(ends[0].chain)


def _several(ends: Sequence[Layer]) -> OverrideError:
    text = (
        f"{len(ends)} overrides are active at once in other threads or tasks, and none"
        f" of them reaches this one: {'; '.join(sorted(map(str, ends)))}. Run this code"
        " in the context of one: contextvars.copy_context().run(function), made inside"
        " of it."
    )
    for layer in ends:
        layer.noticed(text)
    return OverrideError(text)
