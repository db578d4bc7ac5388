"""What a FastAPI application has besides the decorators: dependencies, documents.

They stand in `Depends(...)` on a route, a router or the whole application, or in an
endpoint's parameter, which gets the decision. How one is made is in `dependencies`, how
denials come into the OpenAPI document in `openapi`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any, Final, ParamSpec, TypeVar, cast

from stigg_guard.decorators import Decorators
from stigg_guard.extras import require
from stigg_guard.guard import AsyncGuard, Guard
from stigg_guard.view import ViewSpec
from stigg_guard.webhooks.handlers import WebhookHandler

require("fastapi", extra="fastapi", needed_by=__name__)

from fastapi import APIRouter  # noqa: E402  # says what is missing

from stigg_guard_starlette.dependencies import (  # noqa: E402
    Dependency,
    metering,
    requiring,
)
from stigg_guard_starlette.openapi import (  # noqa: E402
    GuardedRoute,
    document_denials,
)
from stigg_guard_starlette.webhooks import webhook_route  # noqa: E402

__all__ = [
    "GuardedRoute",
    "document_denials",
    "meters",
    "requires",
    "requires_all",
    "requires_any",
    "webhook_router",
]

P = ParamSpec("P")
T = TypeVar("T")


def webhook_router(
    path: str = "/webhooks/stigg",
    on_event: WebhookHandler | None = None,
    *,
    types: Iterable[str] = (),
    guard: Guard | AsyncGuard | None = None,
    name: str = "stigg_webhooks",
) -> APIRouter:
    """Receives Stigg's webhooks: `app.include_router(webhook_router())`.

    It is as `webhook_route`, and is no part of the OpenAPI document.
    """
    route = webhook_route(path, on_event, types=types, guard=guard, name=name)
    return APIRouter(routes=[route])


class _Specs(Decorators):
    """Reads what the decorators read, and leaves the endpoint to FastAPI."""

    def decorator(self, name: str, spec: ViewSpec) -> Any:
        """What was said, in place of a decorator."""
        return spec


def _as_dependency(
    name: str,
    read: Callable[P, object],
    make: Callable[[str, ViewSpec], Dependency[T]],
    about: str,
) -> Callable[P, Dependency[T]]:
    def dependency(*args: P.args, **kwargs: P.kwargs) -> Dependency[T]:
        return make(name, cast(ViewSpec, read(*args, **kwargs)))

    dependency.__name__ = dependency.__qualname__ = name
    dependency.__doc__ = about
    shown = signature(read).replace(return_annotation=Dependency)
    setattr(dependency, "__signature__", shown)  # noqa: B010
    return dependency


_specs: Final = _Specs(lambda view, specs: view)

requires = _as_dependency(
    "requires",
    _specs.requires_feature,
    requiring,
    """`Depends(requires("feature-id"))`: as `requires_feature`, with the same options.

    A parameter that depends on it gets the `Decision`.
    """,
)
requires_any = _as_dependency(
    "requires_any",
    _specs.requires_any,
    requiring,
    """`Depends(requires_any("one", "other"))`: as the decorator of that name.

    A parameter that depends on it gets the `Decision` on the need that was met.
    """,
)
requires_all = _as_dependency(
    "requires_all",
    _specs.requires_all,
    requiring,
    """`Depends(requires_all("one", "other"))`: as the decorator of that name.

    A parameter that depends on it gets the `Decision` on the last need.
    """,
)
meters = _as_dependency(
    "meters",
    _specs.meters_usage,
    metering,
    """`Depends(meters("feature-id"))`: as `meters_usage`, with the same options.

    A parameter that depends on it gets the `Usage`, whose `value` is what is reported.
    """,
)
