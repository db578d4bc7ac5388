"""Which variant an application of this folder is, and whom its requests are for.

Read from the environment that `web` starts the servers with.
"""

from __future__ import annotations

import os
from itertools import cycle
from typing import Any, Final, Literal, cast

from bench.question import DEADLINE, FEATURE, RESOURCE
from sidecar_client import GetEntitlementRequest

Variant = Literal[
    "bare", "by hand", "guarded", "remembered", "vendor", "vendor, own thread"
]

VARIANT: Final = cast("Variant", os.environ.get("BENCH_VARIANT", "bare"))
TARGET: Final = os.environ.get("BENCH_TARGET", "")
IS_GUARDED: Final = VARIANT in {"guarded", "remembered"}
SETTINGS: Final[dict[str, Any]] = {
    "target": TARGET,
    "timeout": DEADLINE,
    "remember": 3600 if VARIANT == "remembered" else 0,
}

# Many, so that requests in flight never ask the same and share one call.
_customers = cycle([f"customer-{number}" for number in range(256)])


def next_customer(*_: object) -> str:
    """Whom this request is for."""
    return next(_customers)


def question() -> GetEntitlementRequest:
    """What a view that calls the client by hand asks."""
    return GetEntitlementRequest(
        customer_id=next_customer(), feature_id=FEATURE, resource_id=RESOURCE
    )
