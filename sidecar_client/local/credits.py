"""Credits of one wallet: what can be spent, and how spending goes; no I/O.

Burn order, expiry, recurring grants, overdraft and its settlement live here; which
wallets there are (`wallets`) and what a feature costs do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sidecar_client.local.customers import CreditGrant
from sidecar_client.local.periods import Window, window_at
from sidecar_client.local.records import (
    HeldGrant,
    LedgerEntry,
    LedgerKind,
    Wallet,
)

OVERDRAFT = "overdraft"
"""The grant of a ledger's entries that are about what is owed."""
MOST_LEDGER = 1000
MOST_GRANTS = 1000
"""Of the grants that are over, the oldest are dropped beyond this many in all."""
_MOST_WINDOWS = 1200
_NEVER = datetime.max.replace(tzinfo=UTC)
# What floating-point sums leave over is no credit.
_DUST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """A source of credits that come again: a plan or add-on of a subscription."""

    id: str
    currency: str
    amount: float
    cadence: Literal["month", "year"]
    soft_limit: bool
    begun: datetime
    """The start of the subscription: cadences are counted from it."""

    def window(self, moment: datetime) -> Window:
        """The cadence's window at a moment."""
        return window_at(
            moment, period=self.cadence, rule="subscription_start", begun=self.begun
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What a wallet comes to at a moment."""

    granted: float
    """The amounts of all grants that are in effect."""
    consumed: float
    """What is spent of them, and what was overdrawn."""
    soft_limit: bool
    period_end: datetime | None
    """When the recurring credits come again; None without any."""

    @property
    def remaining(self) -> float:
        """What can be spent; below 0 while overdrawn."""
        return self.granted - self.consumed

    def covers(self, amount: float | None) -> bool:
        """Whether the amount can be spent; for None, whether anything is left."""
        if self.soft_limit:
            return True
        if amount is None:
            return self.remaining > _DUST
        return amount <= self.remaining + _DUST


def balance(wallet: Wallet, sources: Sequence[Recurring], now: datetime) -> Balance:
    """What the wallet comes to, with all that time alone has changed."""
    wallet = advanced(wallet, sources, now)
    active = [held for held in wallet.grants if _active(held, now, now)]
    ends = [source.window(now).end for source in sources]
    return Balance(
        granted=_plain(sum(held.grant.amount for held in active)),
        consumed=_plain(sum(held.consumed for held in active) + wallet.debt),
        soft_limit=any(source.soft_limit for source in sources),
        period_end=min(ends, default=None),
    )


def granted(
    wallet: Wallet, grant: CreditGrant, sources: Sequence[Recurring], now: datetime
) -> Wallet:
    """The wallet with one more grant; it settles what was overdrawn.

    Of a recurring one, only what is spent of it is taken over.
    """
    wallet = advanced(wallet, sources, now)
    spent = grant.spent
    if grant.type == "recurring":
        # It came by itself above, if its source is there; this tells what is spent.
        grants = tuple(
            held.model_copy(update={"consumed": min(spent, held.grant.amount)})
            if held.grant.id == grant.id
            else held
            for held in wallet.grants
        )
        return wallet.model_copy(update={"grants": grants})
    made = HeldGrant(
        grant=grant.model_copy(update={"spent": 0.0}), created=now, consumed=spent
    )
    return advanced(
        wallet.model_copy(update={"grants": (*wallet.grants, made)}), sources, now
    )


def owing(
    wallet: Wallet, more: float, sources: Sequence[Recurring], now: datetime
) -> Wallet:
    """The wallet that owes more than before, or less for a negative amount.

    What is left of its grants settles it.
    """
    book = _Book(advanced(wallet, sources, now), now)
    book.debt = max(0.0, book.debt + more)
    _settle(book, now)
    return book.closed()


def voided(wallet: Wallet, grant_id: str, now: datetime) -> Wallet:
    """The wallet with a grant that cannot be spent any more."""
    book = _Book(wallet, now)
    for held in wallet.grants:
        if held.grant.id == grant_id and held.over is None:
            book.end(held, "voided", now)
    return book.closed()


def consumed(
    wallet: Wallet,
    amount: float,
    sources: Sequence[Recurring],
    now: datetime,
    *,
    feature_id: str | None = None,
    events: int = 1,
) -> Wallet:
    """The wallet after spending; a negative amount gives back what was spent.

    Grants are spent in the burn order. What they do not cover is overdrawn: the wallet
    owes it, until later grants settle it. `events` is by how many usage events it was.
    """
    book = _Book(advanced(wallet, sources, now), now)
    if amount < 0:
        _give_back(book, -amount, now, feature_id)
        return book.closed()
    for held in sorted(book.active(now), key=_burn_order):
        part = min(amount, held.grant.amount - held.consumed)
        if part > 0:
            book.spend(held, part, now, "consumed", feature_id, events=events)
            amount, events = amount - part, 0
    if amount > _DUST:
        book.debt += amount
        book.note(now, "overdrawn", amount, OVERDRAFT, feature_id, events=events)
    return book.closed()


def advanced(wallet: Wallet, sources: Sequence[Recurring], now: datetime) -> Wallet:
    """The wallet with all that time has changed up to now.

    Recurring grants have come, one for each window that began, and gone when their
    source has; grants have taken effect and settled what was owed; others have
    expired. The same wallet, where nothing has changed.
    """
    coming = [held for source in sources for held in _coming(wallet, source, now)]
    waiting = [held for held in wallet.grants if held.over is None] + coming
    moments = {moment for held in waiting for moment in _changes(held, now)}
    present = {source.id for source in sources}
    gone = [held for held in waiting if _is_gone(held, present, now)]
    if not moments and not gone:
        return wallet
    book = _Book(wallet, now)
    for held in coming:
        book.put(held)
        book.recurring[held.source or ""] = held.grant.effective
    # Moment by moment, so that a grant settles what is owed before it expires.
    for moment in sorted(moments):
        _expire(book, moment)
        _begin(book, moment)
    for held in book.grants():
        if held.over is None and _is_gone(held, present, now):
            book.end(held, "ended", now)
    return book.closed()


def _is_gone(held: HeldGrant, present: set[str], now: datetime) -> bool:
    """Whether what brought a grant has ended; what is still to begin has not."""
    if held.source is None or now < held.grant.effective:
        return False
    return held.source not in present


def _coming(wallet: Wallet, source: Recurring, now: datetime) -> Iterator[HeldGrant]:
    """The recurring grants of all windows that began and gave nothing yet."""
    last = wallet.recurring.get(source.id)
    first = _met(wallet, source, now)
    window = source.window(now)
    missing: list[Window] = []
    while source.amount and (last is None or window.start > last):
        missing.append(window)
        if len(missing) == _MOST_WINDOWS or (last is None and window.start <= first):
            break
        window = source.window(window.start - timedelta(microseconds=1))
    for window in reversed(missing):
        grant = CreditGrant(
            id=f"{source.id[-200:].lstrip('_|.-')}.{window.start:%Y%m%d}",
            currency=source.currency,
            amount=source.amount,
            type="recurring",
            effective=window.start,
            expires=window.end,
        )
        yield HeldGrant(grant=grant, created=window.start, source=source.id)


def _met(wallet: Wallet, source: Recurring, now: datetime) -> datetime:
    """From when on a source gives credits that the wallet has never met.

    It came after the wallet last changed. If something was owed then, the first of its
    credits have settled it; else only those of the present are worth anything.
    """
    if not wallet.debt or not wallet.ledger:
        return now
    return min(max(wallet.ledger[-1].at, source.begun), now)


def _changes(held: HeldGrant, now: datetime) -> Iterator[datetime]:
    """The moments up to now at which time changes a grant that is not over."""
    if not held.begun and held.grant.effective <= now:
        yield held.grant.effective
    if held.grant.expires is not None and held.grant.expires <= now:
        yield held.grant.expires


def _begin(book: _Book, moment: datetime) -> None:
    """Grants take effect, and settle what is owed."""
    starting = [
        held
        for held in book.grants()
        if held.over is None and not held.begun and held.grant.effective <= moment
    ]
    for held in starting:
        book.put(held.model_copy(update={"begun": True}))
        book.note(moment, "granted", held.grant.amount, _id(held))
    _settle(book, moment)


def _settle(book: _Book, moment: datetime) -> None:
    """What is left of the grants that are in effect settles what is owed."""
    for held in sorted(book.active(moment), key=_burn_order):
        part = min(book.debt, held.grant.amount - held.consumed)
        if part > 0:
            book.debt = 0.0 if book.debt - part < _DUST else book.debt - part
            book.spend(held, part, moment, "settled", None)


def _expire(book: _Book, moment: datetime) -> None:
    for held in book.grants():
        expires = held.grant.expires
        if held.over is None and expires is not None and expires <= moment:
            book.end(held, "expired", moment)


def _give_back(
    book: _Book, amount: float, now: datetime, feature_id: str | None
) -> None:
    """What is owed first, then to the grants that were spent last."""
    part = min(amount, book.debt)
    if part > 0:
        book.debt -= part
        amount -= part
        book.note(now, "returned", part, OVERDRAFT, feature_id)
    order = sorted(book.active(now), key=_burn_order)
    for held in reversed(order):
        part = min(amount, held.consumed)
        if part > 0:
            book.spend(held, -part, now, "returned", feature_id)
            amount -= part


class _Book:
    """A wallet while it changes, with a note of each movement."""

    def __init__(self, wallet: Wallet, now: datetime) -> None:
        self._wallet = wallet
        self._now = now
        self._grants = {_id(held): held for held in wallet.grants}
        self._notes: list[LedgerEntry] = []
        self.debt = wallet.debt
        self.recurring = dict(wallet.recurring)

    def grants(self) -> list[HeldGrant]:
        return list(self._grants.values())

    def active(self, at: datetime) -> list[HeldGrant]:
        return [held for held in self.grants() if _active(held, at, self._now)]

    def put(self, held: HeldGrant) -> None:
        self._grants[_id(held)] = held

    def end(
        self, held: HeldGrant, why: Literal["expired", "ended", "voided"], now: datetime
    ) -> None:
        self.put(held.model_copy(update={"over": why}))
        if held.begun:
            kind: LedgerKind = "voided" if why == "voided" else "expired"
            self.note(now, kind, held.grant.amount - held.consumed, _id(held))

    def spend(
        self,
        held: HeldGrant,
        amount: float,
        now: datetime,
        kind: LedgerKind,
        feature_id: str | None,
        *,
        events: int = 1,
    ) -> None:
        self.put(held.model_copy(update={"consumed": held.consumed + amount}))
        self.note(now, kind, abs(amount), _id(held), feature_id, events=events)

    def note(
        self,
        at: datetime,
        kind: LedgerKind,
        amount: float,
        grant_id: str,
        feature_id: str | None = None,
        *,
        events: int = 1,
    ) -> None:
        left = sum(held.grant.amount - held.consumed for held in self.active(at))
        self._notes.append(
            LedgerEntry(
                at=at,
                kind=kind,
                amount=amount,
                grant_id=grant_id,
                balance=_plain(left - self.debt),
                feature_id=feature_id,
                events=events,
            )
        )

    def closed(self) -> Wallet:
        ledger = (*self._wallet.ledger, *self._notes)[-MOST_LEDGER:]
        grants = self.grants()
        surplus = len(grants) - MOST_GRANTS
        for held in [held for held in grants if held.over][: max(surplus, 0)]:
            grants.remove(held)
        return Wallet(
            grants=tuple(grants),
            debt=self.debt,
            recurring=self.recurring,
            ledger=ledger,
        )


def _active(held: HeldGrant, at: datetime, now: datetime) -> bool:
    """Whether it can be spent at a moment, as is known now.

    By the time, and not by what the ledger tells: a clock may have been moved back.
    """
    grant = held.grant
    if held.over in ("voided", "ended") or not held.begun or grant.effective > now:
        return False
    if grant.expires is None:
        return True
    return (now if held.over == "expired" else at) < grant.expires


def _plain(amount: float) -> float:
    """Without what sums of binary fractions leave over."""
    return round(amount, 9)


def _id(held: HeldGrant) -> str:
    return held.grant.id or ""


def _burn_order(held: HeldGrant) -> tuple[int, datetime, bool, datetime, datetime]:
    """Priority, expiry, promotional before paid, effective date, creation."""
    grant = held.grant
    return (
        grant.priority,
        grant.expires or _NEVER,
        grant.type != "promotional",
        grant.effective,
        held.created,
    )
