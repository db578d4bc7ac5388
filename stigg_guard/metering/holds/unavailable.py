"""What is done while a hold store is out: holds in memory, or nothing is granted.

When a store counts as out is said by `outage`; what went wrong, by the store's error.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, Literal, TypeAlias

from stigg_guard.metering.holds.base import (
    AsyncHolds,
    Fence,
    GiveBack,
    Holds,
    HoldsUnavailable,
    Keep,
    Lift,
    Op,
    Peek,
    Renew,
    Settle,
    Standing,
    Take,
    Taken,
)
from stigg_guard.metering.holds.memory import MemoryHolds
from stigg_guard.metering.holds.outage import HoldsOutage
from stigg_guard.metering.holds.talk import Talk

Policy: TypeAlias = Literal["memory", "deny"]

MOST_TOLD_AT_ONCE: Final = 100
"""How many steps of an outage one request makes up for."""


class StandIn:
    """The rule of `HOLDS_ON_UNAVAILABLE`, for the sync and the async store of a guard.

    While the store is out, about one step a second is tried on it; the others are
    carried out at once by the policy. "memory": in `memory`, so that each process
    keeps to the limit alone. "deny": a `Take` raises `HoldsUnavailable`, and other
    steps do nothing. Either way nobody can fence an account.

    How holds ended meanwhile is told to the store before it counts as back, and what it
    may have granted without an answer is given back. Holds that were taken in memory
    are known to the store from their next step on.
    """

    def __init__(
        self,
        memory: MemoryHolds,
        policy: Policy,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.memory = memory
        self._policy = policy
        self._outage = HoldsOutage(clock=clock)
        _all.add(self)

    @property
    def missed(self) -> int:
        """How many steps were carried out without the store so far."""
        return self._outage.missed

    @property
    def is_out(self) -> bool:
        """Whether the store is out now."""
        return self._outage.is_on

    @property
    def is_involved(self) -> bool:
        """Whether a step may be about more than the store: it is out, or was."""
        return self._outage.is_on or len(self.memory) > 0

    def steps(self, op: Op) -> Generator[Op, Any, object]:
        """The steps that carry one out on the store; returns the reply to give."""
        outage = self._outage
        was_out = outage.is_on
        if was_out and not outage.may_try():
            return self._instead(op)
        try:
            if was_out and not (yield from self._tell()):
                return self._instead(op)
        except HoldsUnavailable as error:
            outage.failed(error, self._meanwhile)
            return self._instead(op)
        try:
            reply = yield op
        except HoldsUnavailable as error:
            return self.after(error, op)
        if was_out:
            outage.end()
        if self._is_of_memory(op):
            self.memory.perform(op)
        return reply

    def after(self, error: HoldsUnavailable, op: Op) -> object:
        """Go on without the store, which may have carried the step out all the same."""
        self._outage.failed(error, self._meanwhile)
        is_granted = False
        try:
            reply = self._instead(op)
            is_granted = isinstance(reply, Taken) and reply.granted
        finally:
            if isinstance(op, Take) and not is_granted:
                for want in op.wants:
                    self._outage.owe(GiveBack(place=want.place, keys=(want.key,)))
        return reply

    def forget(self) -> None:
        """Begin anew in a child: what its parent owes, its parent tells."""
        self._outage.forget()

    @property
    def _meanwhile(self) -> str:
        if self._policy == "memory":
            return "Holds are kept within each process until it is back."
        return "What needs a hold is denied until it is back."

    def _instead(self, op: Op) -> object:
        self._outage.miss(op)
        if isinstance(op, Fence):
            # Other processes would not keep out.
            return None
        if self._policy == "memory":
            return self.memory.perform(op)
        match op:
            case Take():
                raise HoldsUnavailable(self._outage.cause)
            case Peek():
                return Standing()
            case Keep():
                return op.mode != "sending"
            case _:
                return None

    def _tell(self) -> Generator[Op, Any, bool]:
        """Make up for an outage; whether all is told."""
        for _ in range(MOST_TOLD_AT_ONCE):
            untold = self._outage.next_untold()
            if untold is None:
                return True
            try:
                yield untold
            except BaseException:
                self._outage.keep_untold(untold)
                raise
        return self._outage.is_all_told()

    def _is_of_memory(self, op: Op) -> bool:
        """Whether it is about a hold that memory has."""
        if not len(self.memory):
            return False
        match op:
            case Settle() | Keep():
                keys: tuple[str, ...] = (op.key,)
            case GiveBack():
                keys = op.keys
            case Renew():
                keys = tuple(key for key, _ in op.units)
            case Take() | Peek() | Fence() | Lift():
                return False
        return any(self.memory.holds(op.place, key) for key in keys)


class GuardedHolds(Holds):
    """A hold store that is never out, unless the policy is "deny"."""

    def __init__(self, store: Holds, stand_in: StandIn) -> None:
        self._store = store
        self._stand_in = stand_in

    @property
    def is_out(self) -> bool:
        """Whether the store is out: the last step was carried out in its place."""
        return self._stand_in.is_out

    def perform(self, op: Op) -> object:
        """Carry one step out, on the store or in its place."""
        if self._stand_in.is_involved:
            return self._go_on(Talk(self._stand_in.steps(op)))
        try:
            return self._store.perform(op)
        except HoldsUnavailable as error:
            return self._stand_in.after(error, op)

    def perform_each(self, ops: Sequence[Op]) -> Sequence[HoldsUnavailable | None]:
        """Carry steps out, on the store or in its place."""
        if self._stand_in.is_involved:
            return super().perform_each(ops)
        outages = self._store.perform_each(ops)
        left = list[HoldsUnavailable | None]()
        for op, outage in zip(ops, outages, strict=True):
            try:
                if outage is not None:
                    self._stand_in.after(outage, op)
            except HoldsUnavailable as error:
                left.append(error)
            else:
                left.append(None)
        return left

    def _go_on(self, talk: Talk[Op]) -> object:
        while (step := talk.step) is not None:
            try:
                reply = self._store.perform(step)
            except HoldsUnavailable as error:
                talk.failed(error)
            except BaseException:
                talk.close()
                raise
            else:
                talk.went(reply)
        return talk.reply

    def close(self) -> None:
        """Let go of the store's connections."""
        self._store.close()


class AsyncGuardedHolds:
    """A hold store for event loops that is never out, unless the policy is "deny"."""

    def __init__(self, store: AsyncHolds, stand_in: StandIn) -> None:
        self._store = store
        self._stand_in = stand_in

    async def perform(self, op: Op) -> object:
        """Carry one step out, on the store or in its place."""
        talk = Talk(self._stand_in.steps(op))
        while (step := talk.step) is not None:
            try:
                reply = await self._store.perform(step)
            except HoldsUnavailable as error:
                talk.failed(error)
            except BaseException:
                talk.close()
                raise
            else:
                talk.went(reply)
        return talk.reply

    async def aclose(self) -> None:
        """Let go of the store's connections of this loop."""
        await self._store.aclose()


_all: weakref.WeakSet[StandIn] = weakref.WeakSet()


def _after_fork() -> None:
    for stand_in in list(_all):
        stand_in.forget()


os.register_at_fork(after_in_child=_after_fork)
