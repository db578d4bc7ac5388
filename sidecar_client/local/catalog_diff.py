"""What differs between two catalogs, and the same changes made to a third.

Pure: which catalogs these are, and where they are kept, is said by others; how a change
is told is in `catalog_words`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sidecar_client.local.catalog import Catalog
from sidecar_client.local.catalog_facts import (
    ABSENT,
    HERE,
    Facts,
    Path,
    Presence,
    catalog_from,
    facts_of,
    part_of,
)

Value: TypeAlias = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One fact that is another, is new or is gone.

    For a part as a whole it is `HERE` or `ABSENT`. With `is_order` it is the order of
    the keys in a list or mapping.
    """

    path: Path
    before: Value
    after: Value
    is_order: bool = False

    def as_json(self) -> dict[str, Any]:
        """`before` and `after` in values of JSON; a part that is there is `{}`."""
        return {"before": _plain(self.before), "after": _plain(self.after)}


def _plain(value: Value) -> Any:
    if not isinstance(value, Presence):
        return value
    part: dict[str, Any] = {}
    return part if value is HERE else None


def diff(before: Catalog, after: Catalog) -> tuple[Change, ...]:
    """Every change that makes the second of the first; none where they are equal."""
    old, new = facts_of(before), facts_of(after)
    return (
        *_changes(old.values, new.values, ABSENT),
        *_changes(old.orders, new.orders, (), is_order=True),
    )


def _changes(
    old: Mapping[Path, Value],
    new: Mapping[Path, Value],
    absent: Value,
    *,
    is_order: bool = False,
) -> Iterable[Change]:
    for path in dict.fromkeys([*old, *new]):
        was, now = old.get(path, absent), new.get(path, absent)
        if was is now or (was == now and type(was) is type(now)):
            continue
        yield Change(path=path, before=was, after=now, is_order=is_order)


def changed(catalog: Catalog, changes: Iterable[Change]) -> Catalog:
    """The catalog with the changes made to it.

    What it says besides stays. A change within a part that it has not is left out.
    Raises `ValidationError` where no catalog could say what comes of it; whether the
    parts fit together is checked by who serves it.
    """
    facts = facts_of(catalog)
    for change in changes:
        if change.is_order:
            # What only we have comes after it.
            facts.orders[change.path] = change.after
        elif change.after is ABSENT:
            _forget(facts, change)
        elif all(part in facts.values for part in part_of(change.path)):
            facts.values[change.path] = change.after
    return catalog_from(facts)


def merged(base: Catalog, new: Catalog, ours: Catalog) -> Catalog:
    """`ours` with what `new` changed of `base`; everything else of it stays."""
    return changed(ours, diff(base, new))


def _forget(facts: Facts, change: Change) -> None:
    facts.values.pop(change.path, None)
    if change.before is not HERE:
        return
    length = len(change.path)  # with everything that was said of the part
    for path in [path for path in facts.values if path[:length] == change.path]:
        del facts.values[path]
