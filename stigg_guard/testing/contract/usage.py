"""How much the sidecar says a customer used.

What it is expected to be is said in the tests.
"""

from __future__ import annotations

from sidecar_client import GetMeteredEntitlementRequest, SyncStigg
from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.routes import TEMPLATES


def used(sidecar: LocalSidecar, customer: str, feature: str = TEMPLATES) -> float:
    """The current usage of a metered feature."""
    request = GetMeteredEntitlementRequest(customer_id=customer, feature_id=feature)
    with SyncStigg(target=sidecar.target, timeout=5) as stigg:
        return stigg.get_metered_entitlement(request).entitlement.current_usage
