"""What drafts of plans and add-ons entitle to: features, and credits that recur.

The packages themselves live in `packages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from sidecar_client.local.catalog import Addon, Plan
from sidecar_client.local.entitlements import (
    AddonEntitlement,
    CreditEntitlement,
    Entitlement,
)
from sidecar_client.local.management.about import (
    Kept,
    Thing,
    Told,
    note_change,
    note_new,
    part_name,
    told,
)
from sidecar_client.local.management.definitions import definitions_of
from sidecar_client.local.management.missing import feature_of, missing
from sidecar_client.local.management.packages import Package, Packages
from sidecar_client.local.management.terms import Terms, entitlement
from sidecar_client.local.records import about_key
from sidecar_client.local.refusal import Refusal, checked_id
from sidecar_client.local.shape import misshapen
from sidecar_client.local.world import Transaction, World

Behavior = Literal["increment", "override"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeatureEntitlement:
    """What a draft is to entitle to of a feature."""

    id: str
    terms: Terms
    behavior: Behavior = "increment"
    """For add-ons alone."""
    kept: Kept = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCreditEntitlement:
    """Which credits are to recur with a draft."""

    id: str
    amount: float
    cadence: Literal["month", "year"] = "month"
    soft_limit: bool = False
    kept: Kept = field(default_factory=dict[str, Any])


New = NewFeatureEntitlement | NewCreditEntitlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitled:
    """What a package says about a feature or a currency."""

    id: str
    said: Told[Entitlement | CreditEntitlement]


async def list_entitlements(
    world: World, packages: Packages[Package], name: str
) -> list[Entitled]:
    """All that the latest published version says, else the draft."""
    package = packages.current(await world.index(), name)
    return await _entitled(world, packages, package)


async def add_entitlements(
    world: World, packages: Packages[Package], name: str, new: Sequence[New]
) -> list[Entitled]:
    """Add all of these to the draft; none of them may be there."""

    async def work(transaction: Transaction) -> list[Entitled]:
        for at, wish in enumerate(new):
            await _put(transaction, packages, name, wish, f"entitlements[{at}]", True)
        draft = packages.draft_of(await definitions_of(transaction), name)
        said = await _entitled(transaction, packages, draft)
        wanted = {wish.id for wish in new}
        return [item for item in said if item.id in wanted]

    return await world.transact(work)


async def replace_entitlement(
    world: World, packages: Packages[Package], name: str, new: New
) -> Entitled:
    """Change what the draft says about a feature or a currency."""

    async def work(transaction: Transaction) -> Entitled:
        await _put(transaction, packages, name, new, "entitlement", False)
        draft = packages.draft_of(await definitions_of(transaction), name)
        said = await _entitled(transaction, packages, draft)
        return next(item for item in said if item.id == new.id)

    return await world.transact(work)


async def entitlement_in_draft(
    world: World, packages: Packages[Package], name: str, entitlement_id: str
) -> Entitled:
    """What the draft says about a feature or a currency."""
    draft = packages.draft_of(await world.transact(definitions_of), name)
    for item in await _entitled(world, packages, draft):
        if item.id == entitlement_id:
            return item
    raise _not_there(packages, name, entitlement_id)


async def remove_entitlement(
    world: World, packages: Packages[Package], name: str, entitlement_id: str
) -> Entitled:
    """Let the draft say nothing about a feature or a currency; what it said."""

    async def work(transaction: Transaction) -> Entitled:
        draft = packages.draft_of(await definitions_of(transaction), name)
        for item in await _entitled(transaction, packages, draft):
            if item.id == entitlement_id:
                part, said = _part(draft, item.said.value)
                left = {k: v for k, v in said.items() if k != entitlement_id}
                await packages.edit_draft(transaction, name, {part: left})
                key = part_name(name, entitlement_id)
                transaction.remove(about_key(_thing(packages), key))
                return item
        raise _not_there(packages, name, entitlement_id)

    return await world.transact(work)


async def _put(
    transaction: Transaction,
    packages: Packages[Package],
    name: str,
    wish: New,
    where: str,
    is_new: bool,
) -> None:
    draft = packages.draft_of(await definitions_of(transaction), name)
    said = await _said(transaction, draft, wish, where)
    part, before = _part(draft, said)
    if is_new and wish.id in before:
        raise Refusal(
            "ALREADY_EXISTS",
            f"{where}: {packages.word} {name!r} has an entitlement {wish.id!r} "
            "already; update it.",
        )
    if not is_new and wish.id not in before:
        raise _not_there(packages, name, wish.id)
    await packages.edit_draft(transaction, name, {part: {**before, wish.id: said}})
    key = part_name(name, wish.id)
    if is_new:
        note_new(transaction, _thing(packages), key, kept=wish.kept)
    else:
        await note_change(transaction, _thing(packages), key, kept=wish.kept)


async def _said(
    transaction: Transaction, draft: Plan | Addon, wish: New, where: str
) -> Entitlement | CreditEntitlement:
    index = await transaction.index()
    if isinstance(wish, NewCreditEntitlement):
        checked_id("currency", wish.id)
        if wish.id not in index.currencies:
            raise missing("currency", wish.id)
        return _credits(wish, where)
    feature = feature_of(index, wish.id)
    if feature.status == "archived":
        raise Refusal(
            "FAILED_PRECONDITION", f"{where}: feature {wish.id!r} is archived."
        )
    if isinstance(draft, Addon):
        return entitlement(
            AddonEntitlement,
            feature,
            wish.terms,
            where=where,
            behavior=wish.behavior,
        )
    return entitlement(Entitlement, feature, wish.terms, where=where)


def _credits(wish: NewCreditEntitlement, where: str) -> CreditEntitlement:
    try:
        return CreditEntitlement(
            amount=wish.amount, cadence=wish.cadence, soft_limit=wish.soft_limit
        )
    except ValidationError as error:
        problem = next(misshapen(error, wish))
        raise Refusal(
            "INVALID_ARGUMENT", f"{where}: {problem.path[-1]} {problem.message}."
        ) from None


def _part(
    package: Plan | Addon, said: Entitlement | CreditEntitlement
) -> tuple[str, Mapping[str, Entitlement | CreditEntitlement]]:
    """The part of the package that says such things, and all that it says."""
    if isinstance(said, CreditEntitlement):
        return "credits", package.credits
    return "entitlements", package.entitlements


async def _entitled(
    reader: World | Transaction, packages: Packages[Package], package: Package
) -> list[Entitled]:
    said: dict[str, Entitlement | CreditEntitlement] = {
        part_name(package.id, name): value
        for part in (package.entitlements, package.credits)
        for name, value in part.items()
    }
    everything = await told(reader, _thing(packages), said)
    names = [*package.entitlements, *package.credits]
    return [
        Entitled(id=name, said=item)
        for name, item in zip(names, everything, strict=True)
    ]


def _thing(packages: Packages[Package]) -> Thing:
    return "plan-entitlement" if packages.thing == "plan" else "addon-entitlement"


def _not_there(packages: Packages[Package], name: str, entitlement_id: str) -> Refusal:
    return Refusal(
        "NOT_FOUND",
        f"the draft of {packages.word} {name!r} has no entitlement {entitlement_id!r}.",
    )
