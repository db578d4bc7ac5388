"""The numbers of one place and the rule of `base` over them; no place knows another.

Which places there are, and steps that take of several, is `ledger`'s.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from stigg_guard.metering.holds.base import (
    ORPHANED_FOR,
    REMEMBERED_FOR,
    STORED_FOR,
    Fence,
    GiveBack,
    Keep,
    Lift,
    Renew,
    Settle,
    Standing,
    Want,
)
from stigg_guard.metering.holds.held import LEASED, LOST, Held, Hold
from stigg_guard.metering.holds.young import Young

Refusal: TypeAlias = Literal["used", "held", "fenced"]

NEVER: Final = -math.inf
TOLERANCE: Final = 1e-9


def is_over(value: float, limit: float) -> bool:
    """Whether a number is over a limit by more than sums of floats go wrong."""
    return value > limit and value > limit + TOLERANCE * max(1.0, abs(limit))


class Account:
    """What is counted, held and young of one place.

    `untold` is the part of `counted` whose holders died: reported or not, as the next
    fresh answer tells. `is_known` tells whether the sidecar's usage was ever told:
    until then, what was used before this account was made is missing in `counted`.
    Times are of the ledger's clock; `catch_up` comes before every other method.
    """

    __slots__ = (
        "_busy_until",
        "_fence",
        "_fenced_until",
        "_young",
        "counted",
        "expected",
        "held",
        "is_known",
        "period",
        "untold",
    )

    def __init__(self) -> None:
        self.counted = 0.0
        self.held = Held()
        self.expected: float | None = None
        self.period: float | None = None
        self.is_known = False
        self.untold = 0.0
        self._young = Young()
        self._fence: str | None = None
        self._fenced_until = NEVER
        self._busy_until = NEVER

    def catch_up(self, now: float) -> None:
        """Give back the holds that ran out; forget what is young no more."""
        while (over := self.held.run_out(now)) is not None:
            self._ran_out(*over)
        if self._young.changes_at <= now:
            self._young.age(now)

    def is_idle(self, now: float) -> bool:
        """Whether it may be forgotten."""
        if self._busy_until + REMEMBERED_FOR > now:
            return False
        self.catch_up(now)
        return (
            not self.held.by_key
            and self._fenced_until <= now
            and self._busy_until + REMEMBERED_FOR <= now
        )

    def standing(self) -> Standing:
        """Its numbers."""
        return Standing(
            counted=self.counted,
            held=self.held.units,
            open=self.held.open,
            doubtful=self.held.doubtful,
            expected=self.expected,
            period=self.period,
        )

    def hear(self, want: Want) -> None:
        """Count what the want's answer says of the usage.

        An answer without a period says nothing about the account's.
        """
        if want.usage is None:
            return
        if want.period is not None and want.period != self.period:
            if self._is_late(want.period):
                return
            self._enter(want.period, want.usage)
        self._count(want.usage, is_fresh=want.is_fresh)

    def take(self, want: Want, until: float, now: float) -> Refusal | None:
        """Hold what a want adds; what its key holds already is prolonged.

        Its answer was heard before. Whether what is `held` is rather `used` up is said
        by `is_used_up`.
        """
        held = self.held.by_key.get(want.key)
        if held is not None:
            if held.mode == "open" and held.until < until:
                self.held.prolong(want.key, until)
            return None
        if self._fenced_until > now:
            return "fenced"
        units = self.increase(want)
        if units and is_over(self.counted + units, want.limit):
            return "held"
        base = self.used(want) if want.update == "set" else None
        self._add(want.key, Hold(units, "open", until, base))
        self._busy(now)
        return None

    def used(self, want: Want) -> float:
        """The units that would be counted if all that is held were given back."""
        used = self.counted - self.held.units
        if want.usage is None or want.usage <= used or self._is_late(want.period):
            return used
        return want.usage

    def increase(self, want: Want) -> float:
        """What the want adds to the units that are counted: 0 or more."""
        if want.key in self.held.by_key:
            return 0.0
        if want.update == "set":
            return max(0.0, want.units - self.used(want))
        return max(0.0, want.units)

    def is_used_up(self, want: Want, units: float) -> bool:
        """Whether so many units are too many even if all that is held comes back."""
        return is_over(self.used(want) + units, want.limit)

    def let_go(self, key: str) -> None:
        """End a hold that used nothing, if there is one."""
        if key in self.held.by_key:
            self.counted -= self.held.remove(key).units

    def settle(self, op: Settle, now: float) -> None:
        """End a hold whose units were used, or count them without one."""
        hold = LOST
        if op.key in self.held.by_key:
            hold = self.held.remove(op.key)
            self.counted -= hold.units
        elif not self._is_of_now(op.period):
            return
        used = self._really_used(op, hold)
        self.counted += used
        if op.total is not None and not self.is_known:
            self.counted = op.total + self.held.units + self._young.units
            self.is_known, self.untold = True, 0.0
        self._acknowledge(op, is_late=hold is LOST)
        self._busy(now)
        self._rejuvenate(max(0.0, used) + self._make_up(op.total), op.young_for, now)

    def give_back(self, op: GiveBack, now: float) -> None:
        """End holds that used nothing."""
        for key in op.keys:
            self.let_go(key)
        self._busy(now)

    def renew(self, op: Renew, now: float) -> None:
        """Prolong open holds; hold lost ones again."""
        until = now + op.lease
        for key, units in op.units:
            held = self.held.by_key.get(key)
            if held is None:
                if self._is_of_now(op.period):
                    self._add(key, Hold(max(0.0, units), "open", until, None))
            elif held.mode == "open":
                self.held.prolong(key, until)
        self._busy(now)

    def keep(self, op: Keep, now: float) -> bool:
        """Change the mode of a hold, or hold it again."""
        if op.mode == "sending" and self._fenced_until > now:
            return False
        hold = self.held.by_key.get(op.key)
        if op.only_if_open and (hold is None or hold.mode != "open"):
            return True
        if hold is None:
            if not self._is_of_now(op.period):
                return True
            hold = LOST
        elif op.only_if_lost:
            return True
        self.let_go(op.key)
        # What gives back holds nothing.
        units = hold.units if op.units is None else max(0.0, op.units)
        until = now + (op.lease if op.mode in LEASED else STORED_FOR)
        self._add(op.key, Hold(units, op.mode, until, hold.base))
        self._busy(now)
        return True

    def fence(self, op: Fence, now: float) -> Standing | None:
        """Keep new holds out, unless somebody else does."""
        if self._fenced_until > now and self._fence != op.token:
            return None
        self._fence, self._fenced_until = op.token, now + op.lease
        self._busy(now)
        return replace(self.standing(), doubts=self.held.doubts)

    def lift(self, op: Lift, now: float) -> None:
        """End one's own fence; believe the total that was found."""
        if self._fence != op.token or self._fenced_until <= now:
            return
        self._fence, self._fenced_until = None, NEVER
        if op.total is None:
            return
        if self.held.is_certain:
            self._believe(op.total)
            self._rejuvenate(self._make_up(op.total), op.young_for, now)
            self.is_known = True
        else:
            self._count(op.total, is_fresh=True)

    def _is_late(self, period: float | None) -> bool:
        return period is not None and self.period is not None and period < self.period

    def _is_of_now(self, period: float | None) -> bool:
        """Whether it belongs to the account's period; a later one is begun."""
        if period is None or period == self.period:
            return True
        if self._is_late(period):
            return False
        self._enter(period, None)
        return True

    def _enter(self, period: float, usage: float | None) -> None:
        """Begin a period; `usage` None is not known yet. The first one is just told."""
        is_first, self.period = self.period is None, period
        if is_first:
            return
        # What was under way may still arrive, and then in the new period.
        self.expected = usage if self.held.is_certain else None
        self.counted = usage or 0.0
        self.is_known = usage is not None
        self.held, self._young, self.untold = Held(), Young(), 0.0

    def _count(self, usage: float, *, is_fresh: bool) -> None:
        if is_fresh:
            self.untold = 0.0
        least = usage + self._waiting
        most = usage + self.held.units + self._young.units
        if self.is_known:
            counted = min(self.counted, most) if is_fresh else self.counted
            self.counted = max(least, counted)
            return
        if self._busy_until == NEVER and is_fresh:
            self.expected = usage
        # What was used before is in no number of ours.
        self.counted = most if is_fresh else max(self.counted, most)
        self.is_known = is_fresh

    def _really_used(self, op: Settle, hold: Hold) -> float:
        if op.update == "delta":
            return op.units
        if hold.base is not None:
            return op.units - hold.base
        # Others may have been counted since it was lost: it lowers nothing.
        return max(0.0, op.units - (self.counted - self.held.units))

    def _acknowledge(self, op: Settle, *, is_late: bool) -> None:
        held = self.held
        if is_late:
            # Others may have been acknowledged since, with or without it.
            self.expected = None
        elif op.total is not None and held.is_certain and not held.has_crossed:
            self._believe(op.total)
        elif op.update == "set":
            self.expected = None
        elif self.expected is not None:
            self.expected += op.units

    def _make_up(self, total: float | None) -> float:
        """Count what the total shows and nobody told us; how much that is."""
        if total is None or self.expected not in (None, total):
            return 0.0
        missing = max(0.0, total + self._waiting - self.counted + self.untold)
        told = min(self.untold, missing)
        self.untold -= told
        self.counted += missing - told
        return missing

    def _rejuvenate(self, units: float, young_for: float, now: float) -> None:
        if units > 0 and young_for > 0:
            self._busy(self._young.add(units, young_for, now))

    @property
    def _waiting(self) -> float:
        """Units that may be missing in the sidecar's usage, and in ours perhaps too."""
        doubtful = self.held.doubtful_units if self.expected is None else 0.0
        return self.held.stored_units + doubtful

    def _believe(self, total: float) -> None:
        """All of ours is in it, but for what waits."""
        self.expected = total
        self.counted = min(self.counted, total + self.held.units)

    def _add(self, key: str, hold: Hold) -> None:
        self.held.add(key, hold)
        self.counted += hold.units

    def _ran_out(self, key: str, hold: Hold) -> None:
        self._busy(hold.until)
        if hold.mode == "stored":
            self.counted -= hold.units
        elif hold.mode == "sending":
            until = hold.until + ORPHANED_FOR
            self.counted -= hold.units
            self._add(key, hold._replace(mode="doubtful", until=until))
        else:
            # It may have been reported and never acknowledged.
            self.expected = None
            self.untold += hold.units

    def _busy(self, until: float) -> None:
        if until > self._busy_until:
            self._busy_until = until
