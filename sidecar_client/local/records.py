"""What a store keeps: one kind of record for each kind of key, and their text form.

Names of keys and the shape of records live here; stores only keep them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sidecar_client.local.catalog import Catalog, Definitions
from sidecar_client.local.customers import Customer

Record = TypeVar("Record", bound=BaseModel)


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Point(_Kept):
    """A total at a time, for the history of usage."""

    at: datetime
    total: float


class Usage(_Kept):
    """What was reported for one counter: calculated usage of a feature in a window."""

    total: float = 0.0
    updated: datetime | None = None
    history: Annotated[tuple[Point, ...], Field(max_length=1000)] = ()
    """The newest totals, one for each minute."""


class Key(NamedTuple, Generic[Record]):
    """The name of a record, and what it is."""

    name: str
    kind: type[Record]


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
    window = "" if window_start is None else f"{window_start:%Y%m%dT%H%M%S.%f}"
    return Key(f"usage/{customer_id}/{resource_id or ''}/{feature_id}/{window}", Usage)


KINDS: dict[str, type[BaseModel]] = {
    "definitions": Definitions,
    "source": Catalog,
    "customer": Customer,
    "usage": Usage,
}
"""What the keys name, by what stands before their first slash."""


def encoded(record: BaseModel) -> str:
    """The record as text."""
    return record.model_dump_json(exclude_defaults=True)


def decoded(name: str, text: str) -> BaseModel:
    """The record of a key from its text. Raises `ValueError` for what is none."""
    return KINDS[name.partition("/")[0]].model_validate_json(text)
