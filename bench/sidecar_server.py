"""A local sidecar to be measured, in a process of its own.

`python -m bench.sidecar_server STORE [CUSTOMERS FEATURES]` prints a JSON line with its
port and what its start took, and serves until its input ends. STORE is what a sidecar
takes as its store; without numbers it serves the demo catalog.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from sidecar_client.local import LocalSidecar
from sidecar_client.local.loading import CatalogSource


def catalog_of(customers: int, features: int) -> CatalogSource:
    """One plan that grants all features, metered by month, to all customers.

    Events named `call` count for the first feature; of the second, each `who` once.
    """
    described: list[dict[str, Any]] = [
        {"id": f"feature-{number}", "type": "metered", "meter": "incremental"}
        for number in range(features)
    ]
    described[0]["events"] = {"event": "call"}
    described[1]["events"] = {
        "event": "visit",
        "aggregation": "unique",
        "field": "who",
    }
    limit = {"limit": 1e12, "reset_period": "month"}
    plan = {
        "id": "plan",
        "entitlements": {feature["id"]: limit for feature in described},
    }
    return {
        "features": described,
        "plans": [plan],
        "customers": [
            {"id": f"customer-{number}", "subscriptions": [{"plan": "plan"}]}
            for number in range(customers)
        ],
    }


async def _serve(store: str, catalog: CatalogSource) -> None:
    begun = time.perf_counter()
    sidecar = LocalSidecar(catalog, store=store)
    loaded = time.perf_counter()
    async with sidecar:
        served = time.perf_counter()
        told = {
            "port": sidecar.port,
            "loading": loaded - begun,
            "starting": served - loaded,
        }
        print(json.dumps(told), flush=True)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, sys.stdin.read)


def main(store: str, customers: str = "", features: str = "") -> None:
    """Serve the demo catalog, or one of that size."""
    catalog = catalog_of(int(customers), int(features)) if customers else None
    asyncio.run(_serve(store, catalog))


if __name__ == "__main__":
    main(*sys.argv[1:])
