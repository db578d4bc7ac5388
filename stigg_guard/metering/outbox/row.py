"""The rows of an outbox, what may become of them, and how many there are.

What can be done with them is the contract in `base`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from stigg_guard.metering.measurement import Measurement

State: TypeAlias = Literal["pending", "in_flight", "delivered", "parked"]
OnAmbiguous: TypeAlias = Literal["reconcile", "park"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRow:
    """A measurement to be stored.

    `doubtful`: it was sent, and nobody knows whether it arrived. `is_held`: its units
    are held until it is acknowledged. `period` is the start of the usage period they
    are held in. A row may be born `parked`, with the `error` that parked it.
    """

    measurement: Measurement
    state: Literal["pending", "parked"] = "pending"
    doubtful: bool = False
    is_held: bool = False
    period: float | None = None
    on_ambiguous: OnAmbiguous = "reconcile"
    attempts: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A stored measurement. Times are seconds since 1970; `id` is the store's own.

    `was_in_flight` is True on a claimed row whose last worker died with it.
    """

    id: str
    measurement: Measurement
    state: State
    doubtful: bool
    is_held: bool
    period: float | None
    on_ambiguous: OnAmbiguous
    attempts: int
    error: str | None
    created_at: float
    changed_at: float
    due_at: float
    was_in_flight: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The sidecar acknowledged the row."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """The row is pending again, due at `due_at`; an attempt only if `tried`."""

    id: str
    error: str | None
    due_at: float
    doubtful: bool = False
    tried: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Parked:
    """The row waits for a person; counts as an attempt."""

    id: str
    error: str
    doubtful: bool = False


Result: TypeAlias = Delivered | PutOff | Parked


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is in an outbox. `delivered` counts since the outbox was made.

    `oldest_at` is when the oldest row that is pending or in flight was stored, in
    seconds since 1970, None when there is none.
    """

    pending: int
    in_flight: int
    parked: int
    delivered: int
    oldest_at: float | None
