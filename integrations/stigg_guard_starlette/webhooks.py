"""Routes that receive the vendor's webhooks, in Starlette and FastAPI.

What is done with them is `stigg_guard.webhooks`'.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route

from stigg_guard.errors import ConfigurationError
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.webhooks.asgi import WebhookReceiver
from stigg_guard.webhooks.handlers import WebhookHandler
from stigg_guard_starlette.mounted import routes_below


def webhook_route(
    path: str = "/webhooks/stigg",
    on_event: WebhookHandler | None = None,
    *,
    types: Iterable[str] = (),
    guard: Guard | AsyncGuard | None = None,
    name: str = "stigg_webhooks",
) -> Route:
    """Receives Stigg's webhooks: `Starlette(routes=[webhook_route(), ...])`.

    In FastAPI it goes into `app.routes` or `router.routes`. It needs the setting
    `webhook_secret` of the middleware, or of the `guard` that is given. `on_event` is
    told of each event, or of some `types`, when the guard has forgotten what is old.
    """
    receiver = WebhookReceiver(on_event, types=types, guard=guard)
    return Route(path, receiver, methods=["POST"], name=name)


def check_secrets(routes: Iterable[BaseRoute], guard: AsyncGuard) -> None:
    """Raise `ConfigurationError` where webhooks arrive and no secret is set."""
    for route in routes_below(routes):
        receiver = getattr(route, "endpoint", None)
        if not isinstance(receiver, WebhookReceiver):
            continue
        if not (receiver.guard or guard).settings.webhook_secret:
            raise ConfigurationError(
                f'the route "{route.path}" receives webhooks, but the guard has no'
                " webhook_secret; set it to the secret that Stigg shows on the"
                " webhook's page: StiggGuardMiddleware(webhook_secret=...)."
            )
