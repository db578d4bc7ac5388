"""What a customer of a catalog has right now, in tables: as a sidecar would answer.

Telling verdicts lives here; coming to them is the matter of `checking`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from sidecar_client.local.catalog import Catalog
from sidecar_client.local.catalog_words import entitlement_in_words, number
from sidecar_client.local.checking import Checks, State
from sidecar_client.local.credit_desk import CreditVerdict
from sidecar_client.local.evaluation import Subject, Verdict
from sidecar_client.local.populate import populate
from sidecar_client.local.sources import Grant, Source
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.local.world import World

Section = tuple[str, list[Sequence[str]]]
_KINDS: Final = {"base_plan": "inherited from plan", "addon": "add-on"}
_REASONS: Final = {"REQUESTED_USAGE_EXCEEDING_LIMIT": "used up"}
_MOST_RESOURCES: Final = 20


def _now() -> datetime:
    return datetime.now(UTC)


def entitled(
    catalog: Catalog, *, clock: Callable[[], datetime] = _now
) -> Iterator[Section]:
    """What the catalog's one customer has, and then each resource that has its own.

    Each is a title and rows of feature, what it is, what is used, and from where.
    """
    (customer,) = catalog.customers
    subscribed = dict.fromkeys(sub.resource for sub in customer.subscriptions)
    subjects = [
        Subject(customer_id=customer.id, resource_id=resource)
        for resource in dict.fromkeys((None, *subscribed))
    ]
    moment = clock()
    states = asyncio.run(_states(catalog, subjects[: _MOST_RESOURCES + 1], moment))
    for subject, state in zip(subjects, states, strict=False):
        of = f" of {subject.resource_id}" if subject.resource_id else ""
        yield f"Entitlements{of} now", _rows(state)
    if len(subjects) > _MOST_RESOURCES + 1:
        more = len(subjects) - _MOST_RESOURCES - 1
        yield "Entitlements of others", [(f"... of {more:,} more resources",)]


async def _states(
    catalog: Catalog, subjects: Sequence[Subject], moment: datetime
) -> list[State]:
    world = World(MemoryStore(), clock=lambda: moment)
    await populate(world, catalog)
    checks = Checks(world)
    return [await checks.state(subject) for subject in subjects]


def _rows(state: State) -> list[Sequence[str]]:
    if state.reason is not None:
        return [(f"none: {_words(state.reason)}",)]
    rows = [_feature(verdict) for verdict in state.features]
    rows += [row for verdict in state.credits if (row := _credits(verdict))]
    return rows or [("none",)]


def _feature(verdict: Verdict) -> Sequence[str]:
    found = verdict.standing
    name = found.feature.id if found.feature else ""
    used = f"{number(verdict.usage)} used" if found.counter else ""
    if found.grant is None:
        return (name, _words(verdict.reason or "none"), used, _from(found.others), "")
    said = found.grant.entitlement.model_dump(mode="json", exclude_defaults=True)
    if found.values:
        said["values"] = found.values
    denied = f"denied: {_words(verdict.reason)}" if verdict.reason else ""
    return (name, entitlement_in_words(said), used, _from([found.grant]), denied)


def _credits(verdict: CreditVerdict) -> Sequence[str] | None:
    found = verdict.standing
    if found is None:
        return None
    left, granted = found.balance.remaining, found.balance.granted
    says = f"{number(left)} of {number(granted)} credits left"
    denied = f"denied: {_words(verdict.reason)}" if verdict.reason else ""
    return (found.currency.id, says, "", "", denied)


def _from(grants: Sequence[Grant]) -> str:
    return ", ".join(
        " + ".join(_source(source) for source in grant.sources) for grant in grants
    )


def _source(source: Source) -> str:
    if source.kind == "promotion":
        return "a promotion"
    times = f"{source.quantity} x " if source.quantity != 1 else ""
    kind = _KINDS.get(source.kind, source.kind)
    return f"{times}{kind} {source.id}"


def _words(reason: str) -> str:
    return _REASONS.get(reason, reason.lower().replace("_", " "))
