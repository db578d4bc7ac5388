"""What is told of things besides what they are: when they were made, who made them.

Reading and writing that beside a record lives here; the record's shape is in `records`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pydantic import JsonValue

from sidecar_client.local.customers import DEFAULT_START
from sidecar_client.local.records import About, about_key
from sidecar_client.local.world import Transaction, World

Thing = Literal[
    "customer",
    "resource",
    "subscription",
    "promotion",
    "feature",
    "product",
    "plan",
    "addon",
    "currency",
    "grant",
    "plan-entitlement",
    "addon-entitlement",
]
Value = TypeVar("Value")
Kept = Mapping[str, JsonValue]
FROM_THE_BEGINNING = About(created=DEFAULT_START, updated=DEFAULT_START)
"""What is told of things that came with a catalog."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Generic[Value]):
    """A thing, and what is told of it."""

    value: Value
    about: About


def part_name(*ids: str) -> str:
    """The name of a part of something, from the ids on the way to it."""
    return "/".join(ids)


async def told(
    reader: World | Transaction, kind: Thing, values: Mapping[str, Value]
) -> list[Told[Value]]:
    """Each thing, by its name, with what is told of it, in their order."""
    found = await reader.read_all([about_key(kind, name) for name in values])
    return [
        Told(value=value, about=about or FROM_THE_BEGINNING)
        for value, about in zip(values.values(), found, strict=True)
    ]


def note_new(
    transaction: Transaction,
    kind: Thing,
    name: str,
    *,
    owner: str | None = None,
    kept: Kept | None = None,
) -> About:
    """Tell that a thing was made now, and what is to be kept of it."""
    now = transaction.now
    about = About(created=now, updated=now, owner=owner, kept=_without_none(kept or {}))
    transaction.write(about_key(kind, name), about)
    return about


async def note_change(
    transaction: Transaction,
    kind: Thing,
    name: str,
    *,
    owner: str | None = None,
    kept: Kept | None = None,
) -> About:
    """Tell that a thing was changed now.

    What `kept` has replaces what was kept under the same name; None removes it.
    """
    about = await transaction.read(about_key(kind, name)) or FROM_THE_BEGINNING
    about = about.model_copy(
        update={
            "updated": transaction.now,
            "owner": owner or about.owner,
            "kept": _without_none({**about.kept, **(kept or {})}),
        }
    )
    transaction.write(about_key(kind, name), about)
    return about


async def note_archived(
    transaction: Transaction, kind: Thing, name: str, *, archived: bool
) -> About:
    """Tell that a thing was archived now, or that it is no longer."""
    about = await note_change(transaction, kind, name)
    at = transaction.now if archived else None
    about = about.model_copy(update={"archived": at})
    transaction.write(about_key(kind, name), about)
    return about


def _without_none(kept: Kept) -> dict[str, JsonValue]:
    return {name: value for name, value in kept.items() if value is not None}
