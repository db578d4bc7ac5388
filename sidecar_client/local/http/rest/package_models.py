"""What requests say and answers tell about plans and add-ons.

The endpoints are in `packages`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sidecar_client.local.http.rest.charges import Charges
from sidecar_client.local.http.rest.wire import (
    Anything,
    Body,
    Kind,
    Many,
    Paged,
    Range,
    Time,
    Wire,
)
from sidecar_client.local.http.rest.words import PackageStatus, PricingType
from sidecar_client.local.values import AddonId, Metadata, PlanId, ProductId, Text

_DAYS_OF_A_MONTH = 30


class TrialConfig(Body):
    """How long a trial lasts."""

    duration: Annotated[float, Field(gt=0, le=120)]
    units: Literal["DAY", "MONTH"]
    budget: Anything = None
    trial_end_behavior: Literal["CONVERT_TO_PAID", "CANCEL_SUBSCRIPTION"] | None = None

    @property
    def days(self) -> int:
        """The days that it lasts, which for a month are 30."""
        factor = 1 if self.units == "DAY" else _DAYS_OF_A_MONTH
        return max(1, round(self.duration * factor))


class _PackageFields(Body):
    description: Text | None = None
    metadata: Metadata = Field(default_factory=dict[str, str])
    billing_id: Text | None = None


class CreatePlan(_PackageFields):
    """A plan to be defined, as a draft unless it says otherwise."""

    id: PlanId
    display_name: Text
    product_id: ProductId
    parent_plan_id: PlanId | None = None
    pricing_type: PricingType | None = None
    status: PackageStatus = "DRAFT"
    default_trial_config: TrialConfig | None = None


class UpdatePlan(_PackageFields):
    """What a plan is to be from now on; what is left out stays."""

    display_name: Text = ""
    parent_plan_id: PlanId | None = None
    compatible_addon_ids: (
        Annotated[tuple[AddonId, ...], Field(strict=False, max_length=1000)] | None
    ) = None
    default_trial_config: TrialConfig | None = None
    charges: Charges | None = None


class CreateAddon(_PackageFields):
    """An add-on to be defined, as a draft unless it says otherwise."""

    id: AddonId
    display_name: Text
    product_id: ProductId
    max_quantity: Annotated[int, Field(ge=1)] | None = None
    pricing_type: PricingType | None = None
    status: PackageStatus = "DRAFT"


class UpdateAddon(_PackageFields):
    """What an add-on is to be from now on; what is left out stays."""

    display_name: Text = ""
    max_quantity: Annotated[int, Field(ge=1)] | None = None
    dependencies: (
        Annotated[tuple[AddonId, ...], Field(strict=False, max_length=1000)] | None
    ) = None
    status: PackageStatus = "DRAFT"
    charges: Charges | None = None


class Publish(Body):
    """Which subscriptions get the new version."""

    migration_type: Literal["NEW_CUSTOMERS", "ALL_CUSTOMERS"]


class ListPackages(Paged):
    """Which plans or add-ons to list."""

    product_id: str | None = None
    status: Many[PackageStatus] | None = None
    created_at: Range | None = None


class EntitledData(Wire):
    """Something that is entitled to."""

    id: str
    type: Kind


class _PackageData(Wire):
    id: str
    display_name: str
    description: str | None
    product_id: str
    status: PackageStatus
    version_number: int
    is_latest: bool
    entitlements: list[EntitledData]
    metadata: dict[str, str]
    billing_id: str | None = None
    created_at: Time
    updated_at: Time


class TrialConfigData(Wire):
    """How long a trial lasts."""

    duration: float
    units: Literal["DAY"] = "DAY"


class PlanData(_PackageData):
    """A version of a plan."""

    parent_plan_id: str | None
    pricing_type: PricingType
    compatible_addon_ids: list[str] | None
    default_trial_config: TrialConfigData | None


class AddonData(_PackageData):
    """A version of an add-on."""

    pricing_type: PricingType | None = None
    max_quantity: int | None
    dependencies: list[str] | None = None


class PublishedData(Wire):
    """That it is published."""

    task_id: str | None = None


class RemovedData(Wire):
    """What was removed."""

    id: str
