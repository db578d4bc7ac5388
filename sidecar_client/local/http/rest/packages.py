"""Plans and add-ons over REST: defined, drafted, published.

Bodies and answers are in `package_models`; what is done is in `management`.
"""

from __future__ import annotations

from typing import Any

from sidecar_client.local.catalog import Addon, CatalogIndex, Plan
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.rest.charges import (
    ChargeData,
    page_of_charges,
    priced,
)
from sidecar_client.local.http.rest.endpoints import Asked, Endpoints
from sidecar_client.local.http.rest.package_models import (
    AddonData,
    CreateAddon,
    CreatePlan,
    ListPackages,
    PlanData,
    Publish,
    PublishedData,
    RemovedData,
    TrialConfigData,
    UpdateAddon,
    UpdatePlan,
)
from sidecar_client.local.http.rest.wire import (
    Data,
    Listed,
    NoBody,
    NoQuery,
    Paged,
    given,
    kept,
    listed,
    within,
)
from sidecar_client.local.http.rest.words import (
    PACKAGE_STATUSES,
    PRICINGS,
    key_of,
    translated,
)
from sidecar_client.local.management.about import Told
from sidecar_client.local.management.missing import product_of_package
from sidecar_client.local.management.packages import (
    ADDONS,
    PLANS,
    Packages,
)
from sidecar_client.local.management.publishing import publish_addon, publish_plan
from sidecar_client.local.refusal import Refusal

endpoints = Endpoints()


@endpoints.post("/v1/plans", status=201)
async def create_plan(asked: Asked[CreatePlan, NoQuery]) -> Data[PlanData]:
    """Define a plan."""
    body = asked.body
    trial = body.default_trial_config
    plan = Plan(
        id=body.id,
        name=body.display_name,
        description=body.description or "",
        product=body.product_id,
        parent=body.parent_plan_id,
        pricing=PRICINGS[body.pricing_type] if body.pricing_type else "free",
        status=PACKAGE_STATUSES[body.status],
        trial_days=trial.days if trial else None,
        metadata=body.metadata,
    )
    kept_of_it = kept(body, "billing_id")
    made = await PLANS.create(asked.parts.world, plan, kept=kept_of_it)
    return await _plan(asked.parts, made)


@endpoints.get("/v1/plans")
async def list_plans(asked: Asked[NoBody, ListPackages]) -> Listed[PlanData]:
    """List plans by id."""
    page = await PLANS.list(
        asked.parts.world,
        asked.query.turn,
        product_id=asked.query.product_id,
        statuses=translated(PACKAGE_STATUSES, asked.query.status),
        created=within(asked.query.created_at),
    )
    index = await asked.parts.world.index()
    return listed(page.mapped(lambda items: [_shown_plan(index, p) for p in items]))


@endpoints.get("/v1/plans/{id}")
async def get_plan(asked: Asked[NoBody, NoQuery]) -> Data[PlanData]:
    """Get the latest published version of a plan, else its draft."""
    found = await PLANS.get(asked.parts.world, asked.path["id"])
    return await _plan(asked.parts, found)


@endpoints.patch("/v1/plans/{id}")
async def update_plan(asked: Asked[UpdatePlan, NoQuery]) -> Data[PlanData]:
    """Change a plan: its draft, where there is one."""
    body = asked.body
    changes = _changes(body)
    fields = body.model_fields_set
    if "parent_plan_id" in fields:
        changes["parent"] = body.parent_plan_id
    if "compatible_addon_ids" in fields:
        changes["addons"] = body.compatible_addon_ids
    if "default_trial_config" in fields:
        trial = body.default_trial_config
        changes["trial_days"] = trial.days if trial else None
    if body.charges is not None:
        changes["pricing"] = PRICINGS[body.charges.pricing_type]
        changes |= priced(body.charges, with_credits=True)
    changed = await PLANS.update(
        asked.parts.world,
        asked.path["id"],
        changes,
        kept=kept(body, "billing_id", "charges"),
    )
    return await _plan(asked.parts, changed)


@endpoints.post("/v1/plans/{id}/archive")
async def archive_plan(asked: Asked[NoBody, NoQuery]) -> Data[PlanData]:
    """Archive a plan."""
    archived = await PLANS.archive(asked.parts.world, asked.path["id"])
    return await _plan(asked.parts, archived)


@endpoints.post("/v1/plans/{id}/draft", status=201)
async def create_plan_draft(asked: Asked[NoBody, NoQuery]) -> Data[PlanData]:
    """Begin a new version of a plan."""
    draft = await PLANS.create_draft(asked.parts.world, asked.path["id"])
    return await _plan(asked.parts, draft)


@endpoints.delete("/v1/plans/{id}/draft")
async def remove_plan_draft(asked: Asked[NoBody, NoQuery]) -> Data[RemovedData]:
    """Throw the draft of a plan away."""
    return await _removed(asked, PLANS)


@endpoints.post("/v1/plans/{id}/publish")
async def publish_plan_draft(asked: Asked[Publish, NoQuery]) -> Data[PublishedData]:
    """Let the draft of a plan be its latest version."""
    all_customers = asked.body.migration_type == "ALL_CUSTOMERS"
    await publish_plan(
        asked.parts.world,
        asked.path["id"],
        "all_customers" if all_customers else "new_customers",
    )
    return Data(data=PublishedData())


@endpoints.get("/v1/plans/{id}/charges")
async def list_plan_charges(asked: Asked[NoBody, Paged]) -> Listed[ChargeData]:
    """List what units of features cost with a plan, in money and in credits."""
    found = await PLANS.get(asked.parts.world, asked.path["id"])
    return listed(await page_of_charges(found, asked.query.turn))


@endpoints.get("/v1/plans/{id}/overage-charges")
async def list_plan_overage_charges(asked: Asked[NoBody, Paged]) -> Listed[ChargeData]:
    """List what is charged beyond limits, which is told as charges here."""
    await PLANS.get(asked.parts.world, asked.path["id"])
    return listed(await page_of_charges(None, asked.query.turn))


@endpoints.get("/v1/addons/{id}/charges")
async def list_addon_charges(asked: Asked[NoBody, Paged]) -> Listed[ChargeData]:
    """List what units of features cost with an add-on."""
    found = await ADDONS.get(asked.parts.world, asked.path["id"])
    return listed(await page_of_charges(found, asked.query.turn))


@endpoints.post("/v1/addons", status=201)
async def create_addon(asked: Asked[CreateAddon, NoQuery]) -> Data[AddonData]:
    """Define an add-on."""
    body = asked.body
    addon = Addon(
        id=body.id,
        name=body.display_name,
        description=body.description or "",
        product=body.product_id,
        max_quantity=body.max_quantity,
        status=PACKAGE_STATUSES[body.status],
        metadata=body.metadata,
    )
    kept_of_it = kept(body, "billing_id", "pricing_type")
    made = await ADDONS.create(asked.parts.world, addon, kept=kept_of_it)
    return await _addon(asked.parts, made)


@endpoints.get("/v1/addons")
async def list_addons(asked: Asked[NoBody, ListPackages]) -> Listed[AddonData]:
    """List add-ons by id."""
    page = await ADDONS.list(
        asked.parts.world,
        asked.query.turn,
        product_id=asked.query.product_id,
        statuses=translated(PACKAGE_STATUSES, asked.query.status),
        created=within(asked.query.created_at),
    )
    index = await asked.parts.world.index()
    return listed(page.mapped(lambda items: [_shown_addon(index, a) for a in items]))


@endpoints.get("/v1/addons/{id}")
async def get_addon(asked: Asked[NoBody, NoQuery]) -> Data[AddonData]:
    """Get the latest published version of an add-on, else its draft."""
    found = await ADDONS.get(asked.parts.world, asked.path["id"])
    return await _addon(asked.parts, found)


@endpoints.patch("/v1/addons/{id}")
async def update_addon(asked: Asked[UpdateAddon, NoQuery]) -> Data[AddonData]:
    """Change an add-on: its draft, where there is one."""
    body = asked.body
    if "status" in body.model_fields_set:
        raise Refusal(
            "INVALID_ARGUMENT",
            "status: publish or archive the add-on by the endpoints for that.",
        )
    changes = {**_changes(body), **given(body, "max_quantity")}
    if body.charges is not None:
        changes |= priced(body.charges, with_credits=False)
    changed = await ADDONS.update(
        asked.parts.world,
        asked.path["id"],
        changes,
        kept=kept(body, "billing_id", "dependencies", "charges"),
    )
    return await _addon(asked.parts, changed)


@endpoints.post("/v1/addons/{id}/archive")
async def archive_addon(asked: Asked[NoBody, NoQuery]) -> Data[AddonData]:
    """Archive an add-on."""
    archived = await ADDONS.archive(asked.parts.world, asked.path["id"])
    return await _addon(asked.parts, archived)


@endpoints.post("/v1/addons/{id}/draft", status=201)
async def create_addon_draft(asked: Asked[NoBody, NoQuery]) -> Data[AddonData]:
    """Begin a new version of an add-on."""
    draft = await ADDONS.create_draft(asked.parts.world, asked.path["id"])
    return await _addon(asked.parts, draft)


@endpoints.delete("/v1/addons/{id}/draft")
async def remove_addon_draft(asked: Asked[NoBody, NoQuery]) -> Data[RemovedData]:
    """Throw the draft of an add-on away."""
    return await _removed(asked, ADDONS)


@endpoints.post("/v1/addons/{id}/publish")
async def publish_addon_draft(asked: Asked[Publish, NoQuery]) -> Data[PublishedData]:
    """Let the draft of an add-on be its latest version, for all subscriptions."""
    await publish_addon(asked.parts.world, asked.path["id"])
    return Data(data=PublishedData())


async def _removed(
    asked: Asked[NoBody, NoQuery], packages: Packages[Plan] | Packages[Addon]
) -> Data[RemovedData]:
    removed = await packages.remove_draft(asked.parts.world, asked.path["id"])
    return Data(data=RemovedData(id=removed))


async def _plan(parts: Parts, plan: Told[Plan]) -> Data[PlanData]:
    return Data(data=_shown_plan(await parts.world.index(), plan))


async def _addon(parts: Parts, addon: Told[Addon]) -> Data[AddonData]:
    return Data(data=_shown_addon(await parts.world.index(), addon))


def _changes(body: UpdatePlan | UpdateAddon) -> dict[str, Any]:
    changes: dict[str, Any] = given(body, "metadata")
    if "display_name" in body.model_fields_set:
        changes["name"] = body.display_name
    if "description" in body.model_fields_set:
        changes["description"] = body.description or ""
    return changes


def _shown_plan(index: CatalogIndex, told: Told[Plan]) -> PlanData:
    plan = told.value
    return PlanData(
        **_common(index, told, index.plans.get(plan.id)),
        parent_plan_id=plan.parent,
        pricing_type=key_of(PRICINGS, plan.pricing),
        compatible_addon_ids=None if plan.addons is None else list(plan.addons),
        default_trial_config=(
            TrialConfigData(duration=plan.trial_days) if plan.trial_days else None
        ),
    )


def _shown_addon(index: CatalogIndex, told: Told[Addon]) -> AddonData:
    addon, about = told.value, told.about
    common = _common(index, told, index.addons.get(addon.id))
    common["pricing_type"] = about.kept.get("pricingType")
    common["dependencies"] = about.kept.get("dependencies")
    return AddonData(**common, max_quantity=addon.max_quantity)


def _common(
    index: CatalogIndex,
    told: Told[Plan] | Told[Addon],
    latest: Plan | Addon | None,
) -> dict[str, Any]:
    package, about = told.value, told.about
    return {
        "id": package.id,
        "display_name": package.name or package.id,
        "description": package.description or None,
        "product_id": product_of_package(index, package) or "",
        "status": key_of(PACKAGE_STATUSES, package.status),
        "version_number": package.version,
        "is_latest": latest is not None and latest.version == package.version,
        "entitlements": [
            *({"id": name, "type": "FEATURE"} for name in package.entitlements),
            *({"id": name, "type": "CREDIT"} for name in package.credits),
        ],
        "metadata": package.metadata,
        "billing_id": about.kept.get("billingId"),
        "created_at": about.created,
        "updated_at": about.updated,
    }
