"""A catalog as single facts: what is said, and of what, so that two can be compared.

Taking it apart and putting it together live here; what differs is in `catalog_diff`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from sidecar_client.local.catalog import Catalog

Path: TypeAlias = tuple[str, ...]
"""Where a fact belongs, such as `("plans", "team", "entitlements", "seats")`.

Parts have even lengths, such as `("plans", "team")`: a list, and a key in it.
"""


class Presence(Enum):
    """Whether a part is there at all."""

    HERE = "here"
    ABSENT = "absent"

    def __repr__(self) -> str:
        return self.name


HERE: Final = Presence.HERE
"""The fact that a part is there."""
ABSENT: Final = Presence.ABSENT
"""What a fact was before it was said, or is when it is said no more."""

_Item: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Which fields of a part are lists of parts, and which map names to facts."""

    lists: Mapping[str, tuple[Callable[[_Item], str], _Shape]] = field(
        default_factory=dict[str, "tuple[Callable[[_Item], str], _Shape]"]
    )
    maps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a catalog says. What is as it is by default is not said."""

    values: dict[Path, Any]
    orders: dict[Path, tuple[str, ...]]
    """The keys of each list and mapping, in their order."""


def facts_of(catalog: Catalog) -> Facts:
    """The facts of a checked catalog."""
    found = Facts(values={}, orders={})
    _take_apart(_as_plain(catalog), _CATALOG, (), found)
    return found


def catalog_from(facts: Facts) -> Catalog:
    """The catalog that says these. Raises `ValidationError` where none can."""
    tree: _Item = {}
    for path, value in facts.values.items():
        here = tree
        for step in path[:-1]:
            here = here.setdefault(step, {})
        # A part that is there may have facts of its own.
        here[path[-1]] = here.get(path[-1], {}) if value is HERE else value
    return Catalog.model_validate(_put_together(tree, _CATALOG, (), facts.orders))


def part_of(path: Path) -> Iterator[Path]:
    """Every part that a fact needs to be there, outermost first."""
    return (path[:length] for length in range(2, len(path), 2))


def _as_plain(catalog: Catalog) -> _Item:
    return catalog.model_dump(mode="json", exclude_defaults=True)


def _take_apart(item: _Item, shape: _Shape, path: Path, found: Facts) -> None:
    for name, value in item.items():
        here = (*path, name)
        if name in shape.lists:
            _take_list(value, *shape.lists[name], here, found)
        elif name in shape.maps:
            found.orders[here] = tuple(value)
            for key, entry in value.items():
                found.values[(*here, key)] = entry
        else:
            found.values[here] = value


def _take_list(
    items: list[Any],
    key_of: Callable[[Any], str],
    shape: _Shape,
    path: Path,
    found: Facts,
) -> None:
    keys: dict[str, None] = {}
    for item in items:
        key = _unique(key_of(item), keys)
        keys[key] = None
        found.values[(*path, key)] = HERE
        _take_apart(_as_item(item), shape, (*path, key), found)
    found.orders[path] = tuple(keys)


def _as_item(item: Any) -> _Item:
    """A part that is only a name is written as one."""
    return {_NAME: item} if isinstance(item, str) else item


def _unique(key: str, taken: Mapping[str, None]) -> str:
    number, found = 1, key
    while found in taken:
        number += 1
        found = f"{key}#{number}"
    return found


def _put_together(
    tree: _Item, shape: _Shape, path: Path, orders: Mapping[Path, tuple[str, ...]]
) -> _Item:
    item: _Item = {}
    for name, value in tree.items():
        here = (*path, name)
        if name in shape.lists:
            inner = shape.lists[name][1]
            item[name] = [
                _from_item(_put_together(value[key], inner, (*here, key), orders))
                for key in _ordered(value, orders.get(here, ()))
            ]
        elif name in shape.maps:
            item[name] = {
                key: value[key] for key in _ordered(value, orders.get(here, ()))
            }
        else:
            item[name] = value
    return item


def _from_item(item: _Item) -> Any:
    return item.get(_NAME, item)


def _ordered(found: Mapping[str, Any], order: tuple[str, ...]) -> list[str]:
    known = [key for key in order if key in found]
    placed = set(known)
    return [*known, *(key for key in found if key not in placed)]


def _by_id(item: _Item) -> str:
    return str(item["id"])


def _by_version(item: _Item) -> str:
    version = item.get("version", 1)
    return str(item["id"]) if version == 1 else f"{item['id']} version {version}"


def _by_feature(item: _Item) -> str:
    return str(item["feature"])


def _by_counter(item: _Item) -> str:
    more = (f" {name} {item[name]}" for name in ("resource", "at") if name in item)
    return f"{item['feature']}{''.join(more)}"


_NAME: Final = ""
_PLAIN: Final = _Shape(maps=frozenset({"metadata"}))
_PACKAGE: Final = _Shape(
    maps=frozenset({"metadata", "entitlements", "credits", "charges", "credit_rates"})
)
_SUBSCRIPTION: Final = _Shape(
    lists={"addons": (_by_id, _Shape())},
    maps=frozenset({"metadata", "entitlements"}),
)
_CUSTOMER: Final = _Shape(
    lists={
        "resources": (str, _Shape()),
        "subscriptions": (_by_id, _SUBSCRIPTION),
        "promotions": (_by_feature, _Shape()),
        "credits": (_by_id, _PLAIN),
        "usage": (_by_counter, _Shape()),
    },
    maps=frozenset({"metadata"}),
)
_CATALOG: Final = _Shape(
    lists={
        "features": (_by_id, _PLAIN),
        "currencies": (_by_id, _PLAIN),
        "products": (_by_id, _PLAIN),
        "plans": (_by_version, _PACKAGE),
        "addons": (_by_version, _PACKAGE),
        "customers": (_by_id, _CUSTOMER),
    }
)
