"""Units: reported in one, granted and shown in another."""

from __future__ import annotations

import pytest

from sidecar_client.local import LocalSidecar
from sidecar_client.local.catalog import Feature
from sidecar_client.local.units import in_units
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import ask, check

MOST = 1.7976931348623157e308


def feature(divide: float, rounding: str) -> Feature:
    return Feature.model_validate(
        {
            "id": "storage",
            "type": "metered",
            "unit_transformation": {"divide": divide, "round": rounding},
        }
    )


@pytest.mark.parametrize(
    ("reported", "divide", "up", "down"),
    [
        (0, 1000, 0, 0),
        (1, 1000, 1, 0),
        (1000, 1000, 1, 1),
        (1001, 1000, 2, 1),
        (2500, 1000, 3, 2),
        (0.3, 0.1, 3, 3),  # Whole, although the floats are not.
        (0.1 + 0.2, 0.1, 3, 3),
        (1e16 + 2, 1, 1e16 + 2, 1e16 + 2),
        (1e308, 1e-308, MOST, MOST),
    ],
)
def test_reported_units_are_divided_and_rounded(
    reported: float, divide: float, up: float, down: float
) -> None:
    assert in_units(feature(divide, "up"), reported) == up
    assert in_units(feature(divide, "down"), reported) == down


def test_answers_limits_and_requests_are_after_the_transformation() -> None:
    catalog = {
        "features": [
            {
                "id": "storage",
                "type": "metered",
                "meter": "fluctuating",
                "unit_transformation": {"divide": 1000},
            }
        ],
        "plans": [{"id": "p", "entitlements": {"storage": {"limit": 5}}}],
        "customers": [
            {
                "id": "c",
                "subscriptions": [{"plan": "p"}],
                "usage": [{"feature": "storage", "value": 1500}],
            }
        ],
    }
    with LocalSidecar(catalog) as sidecar:
        # 1500 and 1600 are 3100 together, not 2 and 2.
        answer: pb.ReportUsageResponse = ask(
            sidecar,
            pb.ReportUsageRequest(customer_id="c", feature_id="storage", value=1600),
        )
        assert answer.current_usage == 4
        metered: pb.GetMeteredEntitlementResponse = ask(
            sidecar,
            pb.GetMeteredEntitlementRequest(customer_id="c", feature_id="storage"),
        )
        assert metered.entitlement.current_usage == 4
        assert check(sidecar, "storage", usage=1) is None
        assert check(sidecar, "storage", usage=2) == "REQUESTED_USAGE_EXCEEDING_LIMIT"
