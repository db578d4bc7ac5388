"""What was used over time: of resources, in the feature's units."""

from __future__ import annotations

from sidecar_client.local.catalog import UnitTransformation
from sidecar_client.local.management import features
from sidecar_client.local.management.provisioning import (
    NewSubscription,
    provision_subscription,
)
from sidecar_client.local.management.usage import usage_history
from sidecar_client.local.metering import Reporter
from sidecar_client.local.world import World
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import NOW


async def use(world: World, customer: str, value: float, resource: str | None) -> None:
    request = pb.ReportUsageRequest(
        customer_id=customer, resource_id=resource, feature_id="seats", value=value
    )
    await Reporter(world).report([request])


async def history(world: World, customer: str, resource: str | None) -> list[float]:
    points = await usage_history(
        world, customer, "seats", start=NOW, end=NOW, resource_id=resource
    )
    return [point.value for point in points]


async def test_a_resource_without_usage_of_its_own_has_that_of_its_customer(
    world: World,
) -> None:
    for plan, resource in (("team", None), ("site", "one")):
        new = NewSubscription(customer_id="acme", plan_id=plan, resource_id=resource)
        await provision_subscription(world, new)
    await use(world, "acme", 5, None)
    assert await history(world, "acme", None) == [5]
    assert await history(world, "acme", "two") == [5]


async def test_history_is_in_the_units_of_the_feature(world: World) -> None:
    halved = UnitTransformation(divide=2, round="up")
    await features.update_feature(world, "seats", {"unit_transformation": halved}, {})
    await use(world, "old", 3, None)
    assert await history(world, "old", None) == [2]
