"""The routes of the console: its page, and under `/local/` what that asks for.

Only putting them together lives here.
"""

from __future__ import annotations

from starlette.routing import BaseRoute

from sidecar_client.local.http.console import (
    actions,
    customers,
    overview,
    page,
    subscribing,
)
from sidecar_client.local.http.parts import Parts


def routes(parts: Parts) -> list[BaseRoute]:
    """All of them."""
    return [
        *page.routes(),
        *overview.routes(parts),
        *customers.routes(parts),
        *actions.routes(parts),
        *subscribing.routes(parts),
    ]
