"""The contract of a hold store, edges included: its steps as values, and their replies.

How a store carries them out lives beside it; the rule of the ledger is `ledger`'s.

A store keeps an account for every place: for a customer's feature and resource. It
knows the units `counted`, the part of them that is `held` by open requests and waiting
rows, and the part that is `young`: settled so lately that the sidecar's usage may not
show it. What counts is the larger of our own number and that of the sidecar's answer::

    counted = max(usage + waiting, min(counted, usage + held + young))
    granted   if counted + units <= limit; then counted and held grow by units

`waiting` is the part of `held` that is stored, which the sidecar does not know, and,
where `expected` is None, what is doubtful, which it need not know. A unit counts from
its grant and never twice: settling a hold only takes it from `held`. Usage that
somebody else took back is believed as soon as nothing of ours is young any more. An
account of which nothing was held or young for an hour (`REMEMBERED_FOR`) may be
forgotten: the sidecar knows everything. Until then it stands in for an old answer.

Sums are of floats: a number is over the limit when it is so by more than one part in a
billion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias

from stigg_guard.requirement import Update

Mode: TypeAlias = Literal["open", "sending", "stored", "doubtful"]
"""`open`: its holder is at work, and may be reporting it now. When its lease runs out
the holder is dead, and nobody knows whether the units were reported: `expected` is
None, and they count until the next fresh answer, which tells. `sending`: it is being
sent from the outbox; when its lease runs out it becomes `doubtful` for `ORPHANED_FOR`:
whoever claims its row next keeps it, and a row that was delivered needs it no more.
`stored`: it waits in the outbox, and nobody reports it. `doubtful`: it was sent, and
nobody knows whether it arrived."""

REMEMBERED_FOR = 3_600.0
"""Seconds that an account outlives its last hold and its last young unit."""

STORED_FOR = 7 * 86_400.0
"""Seconds that a hold outlives the last sign of the outbox that keeps its row."""


ORPHANED_FOR = 3_600.0
"""Seconds that the hold of a worker that died waits for another one."""


class Place(NamedTuple):
    """Whose units are counted together."""

    customer_id: str
    resource_id: str | None
    feature_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Units that a request asks for, of one place.

    `units` are 0 or more; with `update` "set" they are the new total, and the increase
    over what is used is held. `limit` may be infinite: then nothing is refused but the
    hold is known. `usage` and `period` are of the sidecar's answer: the units used and
    the start of the usage period in seconds since 1970, None for usage that is never
    reset. `usage` None: nobody asked, so the account's own numbers stand, and its
    period too. `is_fresh` False: an old answer stands in, so its usage is only the
    least that can be: `counted = max(usage + waiting, counted)`.

    Another `period` than the account's starts it anew: `counted` and `expected` become
    `usage`, nothing is young, and holds of the former period are dropped. An earlier
    one is a late answer: its `usage` is not looked at.
    """

    place: Place
    key: str
    units: float
    limit: float
    usage: float | None
    period: float | None
    update: Update = "delta"
    is_fresh: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """Hold all wants, in their order, or none. Wants of one place add up.

    A hold is given back by itself when it was not renewed for `lease` seconds. A key
    that is held already keeps what it holds and is granted. With `update` "set" the
    increase is over the units used, `max(usage, counted - held)`; a total below them
    holds nothing.
    """

    wants: tuple[Want, ...]
    lease: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Whether a `Take` was granted; if not, by which want and why.

    `used`: too little is left even if every hold of others is given back, that is
    `max(usage, counted - held) + units > limit`, where `units` are all that this take
    wants of the place; waiting is in vain. `held`: units are held that may be given
    back. `fenced`: the account is being reconciled; wait. `counted` and `held` are the
    account's numbers before the take, of the refused want or else of the last one.
    """

    refusal: Literal["used", "held", "fenced"] | None = None
    refused: Place | None = None
    counted: float = 0
    held: float = 0

    @property
    def granted(self) -> bool:
        """Whether everything is held now."""
        return self.refusal is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peek:
    """The numbers of a place; the reply is `Standing`. Nothing changes."""

    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account's numbers, after what ran out was given back. 0 where there is none.

    `open` is how many holds are open or being sent, `doubtful` how many are doubtful.
    `expected` is the sidecar's total as it follows from what it acknowledged to us,
    None where that is not known; `period` is the usage period of all this. `doubts` are
    the keys and units of doubtful holds, in the order of the keys; only a `Fence` asks.
    """

    counted: float = 0
    held: float = 0
    open: int = 0
    doubtful: int = 0
    expected: float | None = None
    period: float | None = None
    doubts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """The hold ends: its units were reported and acknowledged; the reply is None.

    `units` were really used: more, less, 0 or below 0; `counted` changes by what they
    differ from the hold. With `update` "set" they are the new total, and differ from
    what was used at the take. They are young for `young_for` seconds, unless below 0.
    `total` is the usage that the sidecar acknowledged, None where it said none: it
    becomes `expected` when no other hold is open, sending or doubtful, nor was since
    this one, and `counted` is then at most that and what is held; else `expected` moves
    by `units`, and is None after a "set". Where it is `total` or None then, `counted`
    is no less than `total + waiting`: what others settled may never have been told, and
    is young, too.

    A key that is not held (it ran out, or was lost) is counted all the same: better too
    much than too little. Its `total` may be old by now: it says nothing but to an
    account that knows no usage, and `expected` is None then. A settlement of an earlier
    period than the account's does not count; `period` None is the account's own. An
    account that is not there is made: `counted` is `total`, or `units`.
    """

    place: Place
    key: str
    units: float
    young_for: float
    total: float | None
    update: Update = "delta"
    period: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """End holds that used nothing; keys that are not held are fine. Reply: None."""

    place: Place
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Prolong open holds to `lease` seconds from now; a lost one is held again.

    The units of each key say what to hold again, without a look at the limit: they are
    promised. Keys in other modes stay as they are. `period` None is the account's own;
    an earlier one does nothing. Reply: None.
    """

    place: Place
    units: tuple[tuple[str, float], ...]
    lease: float
    period: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Put a hold into a mode, or hold it again in that mode when it was lost.

    With `only_if_lost` a hold that is there stays as it is: somebody may be at it. With
    `only_if_open` nothing changes of one that is not open: its worker was faster.

    `stored` and `doubtful` last for `STORED_FOR` from now, the others for `lease`. The
    reply is False, and nothing has changed, for `sending` while the account is fenced;
    else True. The hold has `units` then, and `counted` changes with it; None leaves
    them, or holds nothing for a key that was lost. `period` is as for `Renew`.
    """

    place: Place
    key: str
    units: float | None
    mode: Mode
    lease: float = 30
    period: float | None = None
    only_if_lost: bool = False
    only_if_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Keep new holds out of an account while it is reconciled.

    Lasts for `lease` seconds or until `Lift`. The reply is `Standing`, with its
    `doubts`. Another token's fence stands: the reply is then None.
    """

    place: Place
    token: str
    lease: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """End a fence; `total` is the sidecar's usage that was found, None for nothing.

    When no hold is open, sending or doubtful by then, `total` becomes `expected`, and
    `counted` is that and what is held; what is new in that is young for `young_for`.
    Does nothing for another's token. Reply: None.
    """

    place: Place
    token: str
    total: float | None
    young_for: float = 0


Op: TypeAlias = Take | Peek | Settle | GiveBack | Renew | Keep | Fence | Lift


class HoldsUnavailable(Exception):
    """The store cannot be asked now; the text names the store, why and the cure."""


class Holds(Protocol):
    """A hold store for threads. Raises `HoldsUnavailable`, and nothing else."""

    def perform(self, op: Op) -> object:
        """Carry one step out, atomically; the reply is what the step's class says."""
        ...

    def perform_each(self, ops: Sequence[Op]) -> Sequence[HoldsUnavailable | None]:
        """Carry steps out one after the other, for nobody who waits for a reply.

        Returns what went wrong with each of them, None for nothing. A store that is
        far away takes them all in one round trip.
        """
        return [_outage(self, op) for op in ops]

    def close(self) -> None:
        """Let go of connections; the next step opens them again."""
        ...


class AsyncHolds(Protocol):
    """A hold store for event loops, any number of them."""

    async def perform(self, op: Op) -> object:
        """Carry one step out, as `Holds.perform` does."""
        ...

    async def aclose(self) -> None:
        """Let go of this loop's connections."""
        ...


def _outage(holds: Holds, op: Op) -> HoldsUnavailable | None:
    try:
        holds.perform(op)
    except HoldsUnavailable as error:
        return error
    return None


def by_customer(wants: Sequence[Want]) -> Mapping[str, tuple[Want, ...]]:
    """Wants by customer, customers in a fixed order: no two requests cross."""
    found: dict[str, list[Want]] = {}
    for want in wants:
        found.setdefault(want.place.customer_id, []).append(want)
    return {customer: tuple(found[customer]) for customer in sorted(found)}
