"""The contract of holds once more, as slowly and plainly as it can be said."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from stigg_guard.metering.holds.base import (
    ORPHANED_FOR,
    STORED_FOR,
    Fence,
    GiveBack,
    Keep,
    Lift,
    Op,
    Peek,
    Place,
    Renew,
    Settle,
    Standing,
    Take,
    Taken,
    Want,
)

OfOnePlace: TypeAlias = Peek | Settle | GiveBack | Renew | Keep | Fence | Lift
UNDER_WAY = ("open", "sending")


@dataclass
class NaiveHold:
    units: float
    mode: str
    until: float
    base: float | None = None


@dataclass
class NaiveAccount:
    """`base` is what is counted beside what is held."""

    base: float = 0
    is_known: bool = False
    expected: float | None = None
    period: float | None = None
    holds: dict[str, NaiveHold] = field(default_factory=dict[str, NaiveHold])
    young: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    fence: tuple[str, float] | None = None
    was_used: bool = False
    has_crossed: bool = False
    untold: float = 0

    @property
    def held(self) -> float:
        return math.fsum(hold.units for hold in self.holds.values())

    @property
    def waiting(self) -> float:
        is_known = self.expected is not None
        modes = ("stored",) if is_known else ("stored", "doubtful")
        return math.fsum(
            hold.units for hold in self.holds.values() if hold.mode in modes
        )

    @property
    def is_certain(self) -> bool:
        return all(hold.mode == "stored" for hold in self.holds.values())

    def opens(self, key: str) -> None:
        """A hold is about to be under way, perhaps beside others."""
        self.has_crossed = any(
            hold.mode in UNDER_WAY for name, hold in self.holds.items() if name != key
        )

    def pass_time(self, now: float) -> None:
        for key, hold in sorted(self.holds.items(), key=lambda item: item[1].until):
            if hold.until <= now and hold.mode == "sending":
                hold.mode, hold.until = "doubtful", hold.until + ORPHANED_FOR
            if hold.until <= now:
                del self.holds[key]
                if hold.mode != "stored":
                    self.expected = None
                    self.base += hold.units
                    self.untold += hold.units
        self.young = [(units, until) for units, until in self.young if until > now]

    def fenced_by(self, now: float) -> str | None:
        is_up = self.fence is not None and self.fence[1] > now
        return self.fence[0] if is_up and self.fence is not None else None

    def standing(self) -> Standing:
        modes = [hold.mode for hold in self.holds.values()]
        return Standing(
            counted=self.base + self.held,
            held=self.held,
            open=sum(mode in UNDER_WAY for mode in modes),
            doubtful=modes.count("doubtful"),
            expected=self.expected,
            period=self.period,
        )

    @property
    def doubts(self) -> tuple[tuple[str, float], ...]:
        return tuple(
            (key, hold.units)
            for key, hold in sorted(self.holds.items())
            if hold.mode == "doubtful"
        )

    def enter(self, period: float | None, usage: float | None) -> bool:
        """Go to a period; whether it is not one that is over."""
        if period is None or period == self.period:
            return True
        if self.period is not None:
            if period < self.period:
                return False
            self.expected = usage if self.is_certain else None
            self.base, self.is_known = usage or 0, usage is not None
            self.holds, self.young, self.has_crossed = {}, [], False
            self.untold = 0
        self.period = period
        return True

    def believe(self, usage: float, is_fresh: bool) -> None:
        young = math.fsum(units for units, _ in self.young)
        if is_fresh:
            self.untold = 0
        if not self.is_known:
            if is_fresh and not self.was_used:
                self.expected = usage
            told = usage + young
            self.base = told if is_fresh else max(self.base, told)
            self.is_known = is_fresh
            return
        if is_fresh:
            self.base = min(self.base, usage + young)
        self.base = max(self.base, usage + self.waiting - self.held)

    def make_up(self, total: float | None) -> float:
        if total is None or self.expected not in (None, total):
            return 0
        sure = self.base + self.held - self.untold
        missing = max(0, total + self.waiting - sure)
        self.base += max(0, missing - self.untold)
        self.untold = max(0, self.untold - missing)
        return missing

    def rejuvenate(self, units: float, young_for: float, now: float) -> None:
        if units > 0 and young_for > 0:
            width = young_for / 16
            self.young.append((units, (math.floor(now / width) + 17) * width))

    def used(self, want: Want) -> float:
        is_late = None not in (want.period, self.period) and (
            (want.period or 0) < (self.period or 0)
        )
        if want.usage is None or is_late:
            return self.base
        return max(want.usage, self.base)

    def increase(self, want: Want) -> float:
        if want.key in self.holds:
            return 0
        units = want.units - (self.used(want) if want.update == "set" else 0)
        return max(0, units)


class NaiveHolds:
    """All accounts, and nothing is ever forgotten."""

    def __init__(self) -> None:
        self.accounts: dict[Place, NaiveAccount] = {}

    def perform(self, op: Op, now: float) -> object:
        for account in self.accounts.values():
            account.pass_time(now)
        if isinstance(op, Take):
            return self._take(op, now)
        account = self.accounts.get(op.place) or NaiveAccount()
        if not isinstance(op, Peek | GiveBack | Lift):
            self.accounts[op.place] = account
        reply = self._reply(op, account, now)
        account.was_used = account.was_used or not isinstance(op, Peek | Lift)
        return reply

    def _reply(self, op: OfOnePlace, account: NaiveAccount, now: float) -> object:
        match op:
            case Peek():
                return account.standing()
            case Settle():
                _settle(op, account, now)
                return None
            case GiveBack():
                for key in op.keys:
                    account.holds.pop(key, None)
                return None
            case Renew():
                for key, units in op.units:
                    hold = account.holds.get(key)
                    if hold is None and account.enter(op.period, None):
                        account.opens(key)
                        account.holds[key] = NaiveHold(units, "open", now + op.lease)
                    elif hold is not None and hold.mode == "open":
                        hold.until = now + op.lease
                return None
            case Keep():
                return _keep(op, account, now)
            case Fence():
                if account.fenced_by(now) not in (None, op.token):
                    return None
                account.fence = (op.token, now + op.lease)
                return replace(account.standing(), doubts=account.doubts)
            case Lift():
                if account.fenced_by(now) != op.token:
                    return None
                account.fence = None
                if op.total is not None and not account.is_certain:
                    account.believe(op.total, is_fresh=True)
                elif op.total is not None:
                    account.expected = op.total
                    account.base = min(account.base, op.total)
                    missing = account.make_up(op.total)
                    account.rejuvenate(missing, op.young_for, now)
                    account.is_known = True
                return None

    def _take(self, op: Take, now: float) -> Taken:
        wants = sorted(op.wants, key=lambda want: want.place.customer_id)
        found: dict[Place, NaiveAccount] = {}
        before: dict[Place, Standing] = {}
        newly: list[tuple[NaiveAccount, str]] = []
        for want in wants:
            known = found.get(want.place) or self.accounts.get(want.place)
            account = found[want.place] = known or NaiveAccount()
            if want.usage is not None and account.enter(want.period, want.usage):
                account.believe(want.usage, want.is_fresh)
            before.setdefault(want.place, account.standing())
            refusal = _refusal(want, account, now)
            if refusal is not None:
                for other, key in newly:
                    other.holds.pop(key, None)
                units = sum(account.increase(w) for w in wants if w.place == want.place)
                if refusal == "held" and account.used(want) + units > want.limit:
                    refusal = "used"
                now_is = account.standing()
                return Taken(
                    refusal=refusal,  # type: ignore[arg-type]
                    refused=want.place,
                    counted=now_is.counted,
                    held=now_is.held,
                )
            hold = account.holds.get(want.key)
            if hold is None:
                base = account.used(want) if want.update == "set" else None
                units = account.increase(want)
                account.opens(want.key)
                account.holds[want.key] = NaiveHold(units, "open", now + op.lease, base)
                newly.append((account, want.key))
                account.was_used = True
            elif hold.mode == "open":
                hold.until = max(hold.until, now + op.lease)
        self.accounts.update(found)
        if not wants:
            return Taken()
        last = before[wants[-1].place]
        return Taken(counted=last.counted, held=last.held)


def _refusal(want: Want, account: NaiveAccount, now: float) -> str | None:
    if want.key in account.holds:
        return None
    if account.fenced_by(now) is not None:
        return "fenced"
    units = account.increase(want)
    if units and account.base + account.held + units > want.limit:
        return "held"
    return None


def _settle(op: Settle, account: NaiveAccount, now: float) -> None:
    hold = account.holds.pop(op.key, None)
    if hold is None and not account.enter(op.period, None):
        return
    used = op.units
    if op.update == "set":
        if hold is not None and hold.base is not None:
            used = op.units - hold.base
        else:
            used = max(0, op.units - account.base)
    account.base += used
    if op.total is not None and not account.is_known:
        account.base = op.total + math.fsum(units for units, _ in account.young)
        account.is_known, account.untold = True, 0
    if hold is None:
        account.expected = None
    elif op.total is not None and account.is_certain and not account.has_crossed:
        account.expected = op.total
        account.base = min(account.base, op.total)
    elif op.update == "set":
        account.expected = None
    elif account.expected is not None:
        account.expected += op.units
    account.rejuvenate(max(0, used) + account.make_up(op.total), op.young_for, now)


def _keep(op: Keep, account: NaiveAccount, now: float) -> bool:
    if op.mode == "sending" and account.fenced_by(now) is not None:
        return False
    hold = account.holds.get(op.key)
    if op.only_if_open and (hold is None or hold.mode != "open"):
        return True
    if hold is None:
        if not account.enter(op.period, None):
            return True
        hold = account.holds[op.key] = NaiveHold(0, op.mode, now)
    elif op.only_if_lost:
        return True
    if op.units is not None:
        hold.units = max(0, op.units)
    if op.mode in UNDER_WAY:
        account.opens(op.key)
    hold.mode = op.mode
    hold.until = now + (op.lease if op.mode in UNDER_WAY else STORED_FOR)
    return True
