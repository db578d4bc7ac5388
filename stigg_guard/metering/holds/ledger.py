"""The rule of the hold stores as an object: accounts by place, steps that change them.

It does no I/O and takes no lock. One account's numbers are `account`'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from stigg_guard.metering.holds.account import Account, Refusal
from stigg_guard.metering.holds.base import (
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
    by_customer,
)


class Ledger:
    """All accounts of a process. `now` may be of any clock that goes on.

    Every take looks at one account more, in turn, and forgets it when it is idle, so
    that the ledger holds about as many as were needed lately.
    """

    def __init__(self) -> None:
        self._accounts: dict[Place, Account] = {}
        self._turn: deque[Place] = deque()
        self._steps: dict[type, Callable[[Any, float], object]] = {
            Take: self._take,
            Peek: self._peek,
            Settle: self._settle,
            GiveBack: self._give_back,
            Renew: self._renew,
            Keep: self._keep,
            Fence: self._fence,
            Lift: self._lift,
        }

    def perform(self, op: Op, now: float) -> object:
        """Carry one step out; the reply is what the step's class says."""
        return self._steps[type(op)](op, now)

    def holds(self, place: Place, key: str) -> bool:
        """Whether a key is held, if only until somebody looks at the clock."""
        account = self._accounts.get(place)
        return account is not None and key in account.held.by_key

    def __contains__(self, place: object) -> bool:
        return place in self._accounts

    def __len__(self) -> int:
        return len(self._accounts)

    def _take(self, op: Take, now: float) -> Taken:
        if self._turn:
            self._look_at_one(now)
        wants = op.wants
        if len(wants) == 1:
            return self._take_one(wants[0], now + op.lease, now)
        return self._take_all(_in_order(wants), now + op.lease, now)

    def _take_one(self, want: Want, until: float, now: float) -> Taken:
        known = self._accounts.get(want.place)
        account = Account() if known is None else known
        account.catch_up(now)
        account.hear(want)
        counted, held = account.counted, account.held.units
        refusal = account.take(want, until, now)
        if refusal is not None:
            return _refused(refusal, account, want, (want,))
        if known is None:
            self._add(want.place, account)
        return Taken(counted=counted, held=held)

    def _take_all(self, wants: Sequence[Want], until: float, now: float) -> Taken:
        found: dict[Place, Account] = {}
        before: dict[Place, tuple[float, float]] = {}
        newly: list[tuple[Account, str]] = []
        for want in wants:
            place, account = want.place, found.get(want.place)
            if account is None:
                account = found[place] = self._accounts.get(place) or Account()
                account.catch_up(now)
            account.hear(want)
            before.setdefault(place, (account.counted, account.held.units))
            is_new = want.key not in account.held.by_key
            refusal = account.take(want, until, now)
            if refusal is not None:
                for taken, key in reversed(newly):
                    taken.let_go(key)
                beside = [other for other in wants if other.place == place]
                return _refused(refusal, account, want, beside)
            if is_new:
                newly.append((account, want.key))
        for place, account in found.items():
            if place not in self._accounts:
                self._add(place, account)
        counted, held = before[wants[-1].place] if wants else (0.0, 0.0)
        return Taken(counted=counted, held=held)

    def _peek(self, op: Peek, now: float) -> Standing:
        account = self._accounts.get(op.place)
        if account is None:
            return Standing()
        account.catch_up(now)
        return account.standing()

    def _settle(self, op: Settle, now: float) -> None:
        self._account(op.place, now).settle(op, now)

    def _give_back(self, op: GiveBack, now: float) -> None:
        account = self._accounts.get(op.place)
        if account is not None:
            account.catch_up(now)
            account.give_back(op, now)

    def _renew(self, op: Renew, now: float) -> None:
        self._account(op.place, now).renew(op, now)

    def _keep(self, op: Keep, now: float) -> bool:
        return self._account(op.place, now).keep(op, now)

    def _fence(self, op: Fence, now: float) -> Standing | None:
        return self._account(op.place, now).fence(op, now)

    def _lift(self, op: Lift, now: float) -> None:
        account = self._accounts.get(op.place)
        if account is not None:
            account.catch_up(now)
            account.lift(op, now)

    def _account(self, place: Place, now: float) -> Account:
        account = self._accounts.get(place)
        if account is None:
            account = Account()
            self._add(place, account)
        else:
            account.catch_up(now)
        return account

    def _add(self, place: Place, account: Account) -> None:
        self._accounts[place] = account
        self._turn.append(place)

    def _look_at_one(self, now: float) -> None:
        place = self._turn.popleft()
        if self._accounts[place].is_idle(now):
            del self._accounts[place]
        else:
            self._turn.append(place)


def _in_order(wants: Sequence[Want]) -> list[Want]:
    return [want for some in by_customer(wants).values() for want in some]


def _refused(
    refusal: Refusal, account: Account, want: Want, beside: Sequence[Want]
) -> Taken:
    """Why nothing is held now; `beside` are all wants of the place."""
    units = sum(account.increase(other) for other in beside)
    if refusal == "held" and account.is_used_up(want, units):
        refusal = "used"
    return Taken(
        refusal=refusal,
        refused=want.place,
        counted=account.counted,
        held=account.held.units,
    )
