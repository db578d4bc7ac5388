"""What subscriptions and promotions say about a feature, each with its sources.

Inheritance, add-ons and agreements are resolved here; comparing what several
subscriptions say (`generosity`) and looking at usage (`evaluation`) is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sidecar_client.local.catalog import CatalogIndex, Plan
from sidecar_client.local.customers import Promotion, Subscription
from sidecar_client.local.entitlements import AddonEntitlement, Entitlement
from sidecar_client.local.generosity import added, generosity, times, united
from sidecar_client.local.sources import Grant, Offer, Source, SourceKind


def subscription_grant(
    index: CatalogIndex, sub: Subscription, feature_id: str
) -> Grant | None:
    """What a subscription says about a feature; None if nothing."""
    plan = index.plan(sub.plan, sub.plan_version)
    offer = plan_offers(index, plan).get(feature_id) if plan else None
    if sub.addons or sub.entitlements:
        offer = _extended(index, sub, plan, feature_id, offer)
    if offer is None:
        return None
    return Grant(
        entitlement=offer.entitlement,
        sources=offer.sources,
        overruled=offer.overruled,
        subscription=sub,
        begun=sub.start,
    )


def promotion_grant(promotion: Promotion, beside: Grant | None) -> Grant:
    """What a promotion grants; its usage is counted `beside` what a subscription does.

    So usage goes on where it was when a promotion begins or ends.
    """
    said = promotion.entitlement
    return Grant(
        entitlement=said,
        sources=(Source(kind="promotion", id=promotion.feature, entitlement=said),),
        subscription=beside.subscription if beside else None,
        begun=beside.begun if beside else promotion.start,
    )


def named_features(index: CatalogIndex, sub: Subscription) -> Iterator[str]:
    """The features that a subscription says something about; some more than once."""
    if plan := index.plan(sub.plan, sub.plan_version):
        yield from plan_offers(index, plan)
    yield from sub.entitlements
    for bought in sub.addons:
        if addon := index.addons.get(bought.id):
            yield from addon.entitlements


def plan_offers(index: CatalogIndex, plan: Plan) -> Mapping[str, Offer]:
    """What a plan says, with what it inherits; found once for each index."""
    key = (plan.id, plan.version)
    offers = index.offers.get(key)
    if offers is None:
        offers = index.offers[key] = _resolved(index, plan)
    return offers


def _resolved(index: CatalogIndex, plan: Plan) -> dict[str, Offer]:
    offers: dict[str, Offer] = {}
    seen: set[str] = set()
    speaking: Plan | None = plan
    while speaking is not None and speaking.id not in seen:
        seen.add(speaking.id)
        kind: SourceKind = "plan" if speaking is plan else "base_plan"
        for name, said in speaking.entitlements.items():
            if name not in offers:
                offers[name] = Offer(
                    entitlement=_softened(said, charged=name in plan.charges),
                    sources=(Source(kind=kind, id=speaking.id, entitlement=said),),
                )
        parent = speaking.parent
        speaking = None if parent is None else index.plans.get(parent)
    return offers


def _extended(
    index: CatalogIndex,
    sub: Subscription,
    plan: Plan | None,
    feature_id: str,
    offer: Offer | None,
) -> Offer | None:
    """The plan's offer, changed by what was agreed and by add-ons."""
    charged = plan is not None and feature_id in plan.charges
    if agreed := sub.entitlements.get(feature_id):
        source = Source(kind="agreement", id=sub.id or "", entitlement=agreed)
        offer = Offer(
            entitlement=agreed,
            sources=(source,),
            overruled=offer.sources if offer else (),
        )
    bought: list[Source] = []
    for item in sub.addons:
        if (addon := index.addons.get(item.id)) is None:
            continue
        charged = charged or feature_id in addon.charges
        if said := addon.entitlements.get(feature_id):
            bought.append(
                Source(
                    kind="addon",
                    id=addon.id,
                    entitlement=said,
                    quantity=item.quantity,
                )
            )
    if bought:
        offer = _with_addons(offer, bought)
    if offer is None or not charged:
        return offer
    return Offer(
        entitlement=_softened(offer.entitlement, charged=True),
        sources=offer.sources,
        overruled=offer.overruled,
    )


def _with_addons(offer: Offer | None, bought: list[Source]) -> Offer:
    """An override replaces all else, a revocation all but that; the rest adds up."""
    beneath = offer.sources if offer else ()
    granting = [source for source in bought if source.entitlement.granted]
    if overrides := [source for source in granting if _is_override(source)]:
        best = max(overrides, key=lambda source: generosity(_counted(source)))
        values = united(source.entitlement.values for source in overrides)
        entitlement = _counted(best)
        if values or entitlement.reset_period is None:
            entitlement = _in_place_of(offer, entitlement, values)
        others = (source for source in bought if source is not best)
        return Offer(
            entitlement=entitlement, sources=(best,), overruled=(*beneath, *others)
        )
    revoking = [source for source in bought if not source.entitlement.granted]
    if revoking:
        return Offer(
            entitlement=revoking[0].entitlement,
            sources=tuple(revoking),
            overruled=(*beneath, *granting),
        )
    parts = [_counted(source) for source in granting]
    if offer is None or not offer.entitlement.granted:
        return Offer(
            entitlement=added(parts), sources=tuple(granting), overruled=beneath
        )
    return Offer(
        entitlement=added([offer.entitlement, *parts]),
        sources=(*offer.sources, *granting),
        overruled=offer.overruled,
    )


def _in_place_of(
    offer: Offer | None, entitlement: Entitlement, values: tuple[str, ...]
) -> Entitlement:
    """An override: without a reset period of its own, it has that of the plan."""
    changed: dict[str, object] = {"values": values}
    if offer and entitlement.reset_period is None:
        changed["reset_period"] = offer.entitlement.reset_period
        changed["reset_anchor"] = offer.entitlement.reset_anchor
    return entitlement.model_copy(update=changed)


def _counted(source: Source) -> Entitlement:
    return times(source.entitlement, source.quantity)


def _is_override(source: Source) -> bool:
    said = source.entitlement
    return isinstance(said, AddonEntitlement) and said.behavior == "override"


def _softened(entitlement: Entitlement, *, charged: bool) -> Entitlement:
    """A charge makes a limit soft: what is beyond it is paid for."""
    if charged and entitlement.limit is not None and not entitlement.soft_limit:
        return entitlement.model_copy(update={"soft_limit": True})
    return entitlement
