"""What a catalog says, and what changed of it, in words for people.

Finding changes lives in `catalog_diff`; what people type, in the commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, cast

from sidecar_client.local.catalog_diff import Change, Value
from sidecar_client.local.catalog_facts import ABSENT, HERE, Path
from sidecar_client.local.shown import limited

_KINDS: Final = {
    "features": "feature",
    "currencies": "currency",
    "products": "product",
    "plans": "plan",
    "addons": "add-on",
    "customers": "customer",
    "resources": "resource",
    "subscriptions": "subscription",
    "promotions": "promotion of",
    "credits": "credits",
    "usage": "starting usage of",
    "entitlements": "entitlement to",
    "charges": "charge for",
    "credit_rates": "credit rate of",
    "metadata": "metadata",
}
_MOST: Final = 120
_VERSIONED: Final = ("plans", "addons")
_PARTS_OF_CUSTOMERS: Final = frozenset(
    {"resources", "subscriptions", "promotions", "credits", "usage"}
)


def changes_in_words(changes: Sequence[Change]) -> list[str]:
    """One line for each change: `plan 'team': entitlement to 'seats' is ...`.

    What comes or goes with a part is not told apart from it.
    """
    whole = {
        change.path: change
        for change in changes
        if HERE in (change.before, change.after) and not change.is_order
    }
    lines = [
        line
        for change in changes
        if not change.is_order and not _is_told(change, whole)
        for line in [_line(change, changes)]
    ]
    return lines or [_order(change) for change in changes]


def _is_told(change: Change, whole: Mapping[Path, Change]) -> bool:
    """Whether a part that the change is within came or went as a whole."""
    outer = (change.path[:length] for length in range(2, len(change.path), 2))
    return any(part in whole for part in outer)


def _line(change: Change, changes: Sequence[Change]) -> str:
    path: list[str] = list(change.path)
    subject = _names(path)
    if len(path) == 2:
        return _came_or_went(subject, change, changes)
    inner = path[2:]
    if len(inner) > 2 and inner[0] in _PARTS_OF_CUSTOMERS:
        subject = f"{subject}, {_names(inner)}"
        inner = inner[2:]
    what = _names(inner) if len(inner) > 1 else inner[0].replace("_", " ")
    if len(inner) > 2:
        what = f"{what} {inner[2].replace('_', ' ')}"
    if HERE in (change.before, change.after):
        return f"{subject}: {_came_or_went(what, change, changes)}"
    return f"{subject}: {what} {_now(change, inner[0])}"


def _names(path: Sequence[str]) -> str:
    """The part, or the entry of a mapping, that a path begins with."""
    kind, name, *_ = path
    version = ""
    if kind in _VERSIONED and " version " in name:
        name, _, number = name.partition(" version ")
        version = f" version {number}"
    return f"{_KINDS[kind]} {name!r}{version}"


def _came_or_went(subject: str, change: Change, changes: Iterable[Change]) -> str:
    if change.after is ABSENT:
        return f"{subject} is gone"
    length = len(change.path)
    said = {
        other.path[-1]: other.after
        for other in changes
        if other.path[:length] == change.path and len(other.path) == length + 1
    }
    told = _PLAIN_WORDS.get(change.path[-2], _nothing)(said)
    return f"{subject} is new{f' ({told})' if told else ''}"


def _nothing(_said: Mapping[str, Any]) -> str:
    return ""


def _now(change: Change, kind: str) -> str:
    was, now = (
        None if value is ABSENT else value_in_words(kind, value)
        for value in (change.before, change.after)
    )
    if now is None:
        return f"is gone (was {was})"
    return f"is {now}" + ("" if was is None else f" (was {was})")


def _order(change: Change) -> str:
    if len(change.path) == 1:
        return f"the {change.path[0]} are in another order"
    return f"{_names(change.path)}: the {change.path[-1]} are in another order"


def value_in_words(kind: str, value: Value) -> str:
    """One fact: an entitlement, a charge, or any other value."""
    if kind in ("entitlements", "entitlement") and isinstance(value, dict):
        return entitlement_in_words(cast("dict[str, Any]", value))
    if kind == "credits" and isinstance(value, dict):
        return credits_in_words(cast("dict[str, Any]", value))
    if isinstance(value, dict):
        said = cast("dict[str, Any]", value)
        return limited(", ".join(f"{k} {_plain(v)}" for k, v in said.items()), _MOST)
    return limited(_plain(value), _MOST)


def _plain(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(map(_plain, cast("Sequence[Any]", value))) or "nothing"
    return repr(value) if isinstance(value, str) else str(value)


def entitlement_in_words(said: Mapping[str, Any]) -> str:
    """What is said of a feature: `limit 5 each month`, `granted`, `revoked`."""
    if not said.get("granted", True):
        return "revoked"
    words = [*_amount(said)]
    if period := said.get("reset_period"):
        words.append(f"each {period}")
        anchor = said.get("reset_anchor", "subscription_start")
        if anchor != "subscription_start":
            words.append(f"from {str(anchor).replace('_', ' ')}")
    if said.get("soft_limit"):
        words.append("(soft)")
    if said.get("behavior") == "override":
        words.append("(override)")
    return limited(" ".join(words), _MOST)


def _amount(said: Mapping[str, Any]) -> Iterator[str]:
    if said.get("unlimited"):
        yield "unlimited"
    elif said.get("value") is not None:
        yield f"value {said['value']}"
    elif said.get("limit") is not None:
        yield f"limit {number(said['limit'])}"
    elif said.get("values"):
        yield ", ".join(said["values"])
    else:
        yield "granted"


def credits_in_words(said: Mapping[str, Any]) -> str:
    """Credits that recur: `100 each month`."""
    soft = " (soft)" if said.get("soft_limit") else ""
    return f"{number(said['amount'])} each {said.get('cadence', 'month')}{soft}"


def number(value: float) -> str:
    """A number without needless digits."""
    return f"{value:,.15g}"


def _of_subscription(said: Mapping[str, Any]) -> str:
    whose = f", resource {said['resource']!r}" if "resource" in said else ""
    return f"plan {said['plan']!r}{whose}"


def _of_promotion(said: Mapping[str, Any]) -> str:
    return entitlement_in_words(said["entitlement"])


def _of_grant(said: Mapping[str, Any]) -> str:
    owed = " owed" if said.get("type") == "overdraft" else ""
    return f"{number(said['amount'])} of {said['currency']!r}{owed}"


def _of_usage(said: Mapping[str, Any]) -> str:
    return number(said["value"])


def _of_feature(said: Mapping[str, Any]) -> str:
    return str(said["type"])


def _of_quantity(said: Mapping[str, Any]) -> str:
    quantity = said.get("quantity", 1)
    return "" if quantity == 1 else f"{quantity} times"


_PLAIN_WORDS: Final = {
    "features": _of_feature,
    "subscriptions": _of_subscription,
    "promotions": _of_promotion,
    "credits": _of_grant,
    "usage": _of_usage,
    "addons": _of_quantity,
}
