"""What a store keeps: one kind of record for each kind of key, and their text form.

Names of keys and the shape of records live here; stores only keep them.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from sidecar_client.local.catalog import Catalog, Definitions
from sidecar_client.local.customers import CreditGrant, Customer

Record = TypeVar("Record", bound=BaseModel)
_Record_co = TypeVar("_Record_co", bound=BaseModel, covariant=True)


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(NamedTuple):
    """A total at a time, for the history of usage; small, as there are many."""

    at: datetime
    total: float


class Usage(_Kept):
    """What was reported for one counter: calculated usage of a feature in a window."""

    total: float = 0.0
    updated: datetime | None = None

    def model_post_init(self, context: object, /) -> None:
        """Share what nobody asks for: it would be a third of each of so many."""
        del context
        object.__setattr__(self, "__pydantic_fields_set__", _GIVEN)


_GIVEN: set[str] = set()


class History(_Kept):
    """What the totals of a counter were before: the last of each minute of changes.

    Apart from the counter, which is written far more often, and is often alone.
    """

    points: Annotated[tuple[Point, ...], Field(max_length=1000)] = ()


class Share(_Kept):
    """What some events come to."""

    visible: datetime
    """From when on it shows in checks."""
    count: float = 0.0
    total: float = 0.0
    least: float | None = None
    most: float | None = None
    unique: float = 0.0


class Aggregate(_Kept):
    """What raw events came to for one counter: a feature's usage in a window."""

    shown: Share | None = None
    waiting: tuple[Share, ...] = ()
    """What shows later, the earliest first."""
    updated: datetime | None = None


class Seen(_Kept):
    """A value that a meter of unique values has counted."""


class About(_Kept):
    """What is kept of a thing beside it: when it was made, and what others told of it.

    A thing without one, such as each of a catalog, was there from the beginning.
    """

    created: datetime
    updated: datetime
    archived: datetime | None = None
    """When it was archived or voided, of things that do not say it themselves."""
    owner: str | None = None
    """The customer whose subscription, promotion or grant it is."""
    kept: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """What the sidecar has no use for, and gives back as it came."""


class Answer(_Kept):
    """What was answered under an idempotency key, to be answered again."""

    at: datetime
    asked: str
    """A digest of the request; another request may not use the key."""
    status: int | None = None
    """None while it is being answered."""
    body: str = ""


LedgerKind = Literal[
    "granted", "consumed", "overdrawn", "settled", "returned", "expired", "voided"
]


class LedgerEntry(_Kept):
    """One movement of credits, of one grant."""

    at: datetime
    kind: LedgerKind
    amount: float
    """How many credits moved; never below 0."""
    grant_id: str
    balance: float
    """What could be spent afterwards; below 0 while overdrawn."""
    feature_id: str | None = None
    """The feature that was used, for credits that its usage cost."""
    events: int = 1
    """How many usage events it stands for, where it tells of use: spending that touches
    several grants is told by the first entry, and the others stand for none."""


class HeldGrant(_Kept):
    """A grant and how much of it is spent."""

    grant: CreditGrant
    created: datetime
    consumed: float = 0.0
    begun: bool = False
    """Whether it has taken effect, as far as the ledger tells."""
    source: str | None = None
    """What a recurring grant comes from; it ends with it."""
    over: Literal["expired", "ended", "voided"] | None = None
    """Why it cannot be spent any more, as far as the ledger tells; ended: with what it
    came from."""


class Wallet(_Kept):
    """A customer's credits of one currency, or those of one of its resources."""

    grants: tuple[HeldGrant, ...] = ()
    """In the order of creation; those that are long over are dropped."""
    debt: float = 0.0
    """What was consumed beyond the balance and not settled yet."""
    recurring: dict[str, datetime] = Field(default_factory=dict[str, datetime])
    """For each source of recurring credits, the window it gave them for last."""
    ledger: tuple[LedgerEntry, ...] = ()
    """The newest movements, the oldest of them first."""


class Key(NamedTuple, Generic[_Record_co]):
    """The name of a record, and what it is."""

    name: str
    kind: type[_Record_co]


WINDOW = "%Y%m%dT%H%M%S.%f"
"""How names tell where a window begins: in the order of time."""
Counter = Key[Usage | Aggregate]
"""Where the usage of a feature is kept, reported or aggregated."""
DEFINITIONS = Key("definitions", Definitions)
SOURCE = Key("source", Catalog)
"""The catalog as it was last loaded: what changed in its file since is told by it."""


def customer_key(customer_id: str) -> Key[Customer]:
    """Where a customer is kept, without its starting usage and credits."""
    return Key(f"customer/{customer_id}", Customer)


def usage_key(
    customer_id: str,
    resource_id: str | None,
    feature_id: str,
    window_start: datetime | None,
) -> Key[Usage]:
    """One counter: a feature's usage by a customer or its resource, in one window.

    No resource for what is used on a subscription of the whole customer; no window for
    usage that never resets.
    """
    window = "" if window_start is None else _named(window_start)
    return Key(f"usage/{customer_id}/{resource_id or ''}/{feature_id}/{window}", Usage)


@lru_cache(maxsize=4096)
def _named(window_start: datetime) -> str:
    return window_start.strftime(WINDOW)


def billed_key(counter: Key[Usage], period_start: datetime) -> Key[Usage]:
    """Where usage is counted by billing periods, beside a counter of reset periods."""
    scope = counter.name.partition("/")[2].rpartition("/")[0]
    return Key(f"billed/{scope}/{_named(period_start)}+", Usage)


def history_key(counter_name: str) -> Key[History]:
    """Where earlier totals of a counter are kept."""
    return Key(f"history/{counter_name.partition('/')[2]}", History)


def aggregate_key(counter: Key[Usage]) -> Key[Aggregate]:
    """Where events are aggregated, for the same counter."""
    kind, _, scope = counter.name.partition("/")
    return Key(f"{_AGGREGATES[kind]}/{scope}", Aggregate)


def seen_key(aggregate: Key[Aggregate], value: str) -> Key[Seen]:
    """Whether a meter has counted a value; its name is short whatever the value is."""
    digest = blake2b(value.encode(), digest_size=12).hexdigest()
    return Key(f"seen/{aggregate.name.partition('/')[2]}/{digest}", Seen)


def about_key(kind: str, name: str) -> Key[About]:
    """Where something about a thing is kept; the kind is one such as `plan`."""
    return Key(f"about/{kind}/{name}", About)


def answer_key(digest: str) -> Key[Answer]:
    """Where the answer is kept that an idempotency key of this digest got."""
    return Key(f"answer/{digest}", Answer)


def wallet_key(
    customer_id: str, resource_id: str | None, currency_id: str
) -> Key[Wallet]:
    """Where credits of one currency are kept; no resource for the whole customer's."""
    return Key(f"wallet/{customer_id}/{resource_id or ''}/{currency_id}", Wallet)


_AGGREGATES = {"usage": "aggregate", "billed": "billed_aggregate"}
KINDS: dict[str, type[BaseModel]] = {
    "definitions": Definitions,
    "source": Catalog,
    "customer": Customer,
    "usage": Usage,
    "history": History,
    "billed": Usage,
    "aggregate": Aggregate,
    "billed_aggregate": Aggregate,
    "seen": Seen,
    "about": About,
    "answer": Answer,
    "wallet": Wallet,
}
"""What the keys name, by what stands before their first slash."""


def encoded(record: BaseModel) -> str:
    """The record as text."""
    return record.model_dump_json(exclude_defaults=True)


def decoded(name: str, text: str | bytes) -> BaseModel:
    """The record of a key from its text. Raises `ValueError` for what is none."""
    return KINDS[name.partition("/")[0]].model_validate_json(text)
