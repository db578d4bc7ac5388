"""What a customer demands: of itself, and of what its parts refer to.

Subscriptions, promotions and credits live here; starting usage is in `usage_checks`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar_client.local.catalog import Addon, CatalogIndex, Plan
from sidecar_client.local.customers import (
    AddonQuantity,
    CreditGrant,
    Customer,
    Promotion,
    Subscription,
)
from sidecar_client.local.entitlement_checks import (
    entitlement_problems,
    entitlements_problems,
)
from sidecar_client.local.problem import Path, Problem, unknown
from sidecar_client.local.usage_checks import usage_problems

_MAY_HAVE_TRIED = ("in_trial", "canceled", "expired")
"""The states of which a catalog may say when the trial ends, or would have."""


def customer_problems(
    customer: Customer, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    """Everything of a customer that does not fit."""
    if customer.archived_at is not None and not customer.archived:
        yield Problem(
            path=(*path, "archived_at"),
            message="a customer that is not archived has no time at which it was; "
            "remove it, or use `archived: true`",
        )
    known: set[str] = set()
    for at, name in enumerate(customer.resources):
        if name in known:
            yield Problem(
                path=(*path, "resources", at),
                message=f"the resource {name!r} is named twice; name it once",
            )
        known.add(name)
    for at, sub in enumerate(customer.subscriptions):
        yield from _subscription(sub, customer, index, (*path, "subscriptions", at))
    for at, promotion in enumerate(customer.promotions):
        yield from _promotion(promotion, index, (*path, "promotions", at))
    for at, grant in enumerate(customer.credits):
        yield from _grant(grant, customer, index, (*path, "credits", at))
    yield from usage_problems(customer, index, path)


def _subscription(
    sub: Subscription, customer: Customer, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    if sub.plan not in index.plans:
        yield unknown("plan", sub.plan, index.plans, (*path, "plan"))
    elif index.plan(sub.plan, sub.plan_version) is None:
        yield Problem(
            path=(*path, "plan_version"),
            message=f"the plan {sub.plan!r} has no version {sub.plan_version}; "
            "define it under plans, or remove the version to follow the latest",
        )
    if sub.end is not None and sub.end <= sub.start:
        yield Problem(
            path=(*path, "end"), message="the subscription ends before it starts"
        )
    if sub.trial_end is not None and sub.trial_end <= sub.start:
        yield Problem(
            path=(*path, "trial_end"), message="the trial ends before it starts"
        )
    if sub.trial_end is not None and sub.status not in _MAY_HAVE_TRIED:
        yield Problem(
            path=(*path, "trial_end"),
            message=f"a subscription that is {sub.status} has no trial that could "
            "end; remove it, or use `status: in_trial`",
        )
    yield from _resource(sub.resource, customer, path)
    yield from entitlements_problems(sub.entitlements, index, (*path, "entitlements"))
    named: dict[str, int] = {}
    for at, bought in enumerate(sub.addons):
        here = (*path, "addons", at)
        if named.setdefault(bought.id, at) != at:
            yield Problem(
                path=(*here, "id"),
                message=f"the add-on {bought.id!r} is named twice; name it once, with "
                "the quantity of both",
            )
        yield from _addon(bought, sub, index, here)


def _addon(
    bought: AddonQuantity, sub: Subscription, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    addon = index.addons.get(bought.id)
    if addon is None:
        yield unknown("addon", bought.id, index.addons, (*path, "id"))
        return
    if addon.max_quantity is not None and bought.quantity > addon.max_quantity:
        yield Problem(
            path=(*path, "quantity"),
            message=f"the add-on {addon.id!r} can be bought {addon.max_quantity} "
            f"times, not {bought.quantity}",
        )
    plan = index.plan(sub.plan, sub.plan_version)
    if plan is not None and plan.addons is not None and addon.id not in plan.addons:
        yield Problem(
            path=(*path, "id"),
            message=f"the add-on {addon.id!r} does not fit the plan {plan.id!r}; "
            "list it under the addons of that plan",
        )
    elif plan is not None and plan.addons is None and plan.product != addon.product:
        yield from _of_products(plan, addon, index, (*path, "id"))


def _of_products(
    plan: Plan, addon: Addon, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    """The problem of an add-on of another product than its plan."""
    only = next(iter(index.products), None) if len(index.products) == 1 else None
    theirs, ours = addon.product or only, plan.product or only
    if theirs != ours:
        yield Problem(
            path=path,
            message=f"the add-on {addon.id!r} is one of product {theirs!r}, and the "
            f"plan {plan.id!r} one of {ours!r}; use an add-on of the same product",
        )


def _promotion(
    promotion: Promotion, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    feature = index.features.get(promotion.feature)
    if feature is None:
        name = promotion.feature
        yield unknown("feature", name, index.features, (*path, "feature"))
    elif not promotion.entitlement.granted:
        yield Problem(
            path=(*path, "entitlement"),
            message="a promotion cannot revoke; remove it, or grant something",
        )
    else:
        at = (*path, "entitlement")
        yield from entitlement_problems(promotion.entitlement, feature, at)
    if promotion.end is not None and promotion.end <= promotion.start:
        yield Problem(
            path=(*path, "end"), message="the promotion ends before it starts"
        )
    if promotion.period is not None and (promotion.end is None) != (
        promotion.period == "lifetime"
    ):
        yield Problem(
            path=(*path, "period"),
            message=f"a period is only told, and `end` says when a promotion is over; "
            f"for {promotion.period} "
            + ("remove `end`" if promotion.end else "say the `end`"),
        )


def _grant(
    grant: CreditGrant, customer: Customer, index: CatalogIndex, path: Path
) -> Iterator[Problem]:
    if grant.currency not in index.currencies:
        at = (*path, "currency")
        yield unknown("currency", grant.currency, index.currencies, at)
    if grant.spent > grant.amount:
        yield Problem(
            path=(*path, "spent"),
            message=f"{grant.spent:g} credits of {grant.amount:g} are spent; "
            "use at most the amount",
        )
    if grant.type == "recurring" and not grant.spent:
        yield Problem(
            path=(*path, "type"),
            message="recurring grants are made by the sidecar itself; "
            "use `type: paid` or `type: promotional`",
        )
    if grant.type == "overdraft" and (grant.spent or grant.expires):
        yield Problem(
            path=(*path, "spent" if grant.spent else "expires"),
            message="an overdraft is what is owed: nothing of it is spent, and it does "
            "not expire; say how much it is as `amount`, and remove this",
        )
    if grant.expires is not None and grant.expires <= grant.effective:
        yield Problem(
            path=(*path, "expires"),
            message="the grant expires before it takes effect",
        )
    yield from _resource(grant.resource, customer, path)


def _resource(name: str | None, customer: Customer, path: Path) -> Iterator[Problem]:
    if name is not None and name not in customer.resources:
        yield unknown("resource", name, customer.resources, (*path, "resource"))
