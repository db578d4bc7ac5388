"""What templates get: `Jinja2Templates("templates", context_processors=[stigg])`.

What can be asked of it is said in `stigg_guard.lazy_entitlements`.
"""

from __future__ import annotations

from starlette.requests import Request

from stigg_guard.lazy_entitlements import LazyEntitlements
from stigg_guard_starlette.entitlements import entitlements_from


def stigg(request: Request) -> dict[str, LazyEntitlements]:
    """Have templates ask `{% if stigg.has("feature-id") %}`.

    Asynchronous endpoints `await entitlements_from(request).aentitlements()` before
    they render: templates cannot, and would hold up the event loop.
    """
    return {"stigg": entitlements_from(request)}
