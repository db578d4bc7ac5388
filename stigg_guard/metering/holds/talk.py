"""A generator of steps and the outcome of each: what sync and async drivers share.

What is said in one lives in `redis_form` and `unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from stigg_guard.metering.holds.base import HoldsUnavailable

Step = TypeVar("Step")


class Talk(Generic[Step]):
    """Carry out `step` and tell how it went, until it is None; then `reply` is there.

    An error that the generator does not catch is raised from `next`.
    """

    __slots__ = ("_steps", "reply", "step")

    def __init__(self, steps: Generator[Step, Any, object]) -> None:
        self._steps = steps
        self.reply: object = None
        self.step: Step | None = None
        self._go_on(steps.__next__)

    def went(self, outcome: object) -> None:
        """Go on with the outcome of the step."""
        self._go_on(self._steps.send, outcome)

    def failed(self, outage: HoldsUnavailable) -> None:
        """Go on without one."""
        self._go_on(self._steps.throw, outage)

    def close(self) -> None:
        """Let the generator clean up: nobody carries out its step."""
        self._steps.close()

    def _go_on(self, resume: Callable[..., Step], *outcome: object) -> None:
        try:
            self.step = resume(*outcome)
        except StopIteration as end:
            self.step, self.reply = None, end.value
