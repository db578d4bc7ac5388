"""Denials in the OpenAPI document that drf-spectacular makes of an API.

What their responses say is `stigg_guard.openapi`'s, what guards an operation that of
`drf.operations` and of the rules in the settings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if find_spec("drf_spectacular") is None:
    raise ImportError(
        f"{__name__} needs drf_spectacular, which is not installed:"
        " pip install drf-spectacular"
    )

from django.urls import URLResolver, get_resolver
from drf_spectacular.openapi import AutoSchema as SpectacularSchema
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework.settings import api_settings

from stigg_guard.decorators import is_exempt
from stigg_guard.denial import PROBLEM_TYPE
from stigg_guard.openapi import SCHEMA_NAME, denied_responses, problem_schema
from stigg_guard.rules import Rule
from stigg_guard.view import ViewSpec
from stigg_guard_django.apps import project_guards
from stigg_guard_django.drf.denied import exception_handler
from stigg_guard_django.drf.operations import needs_of
from stigg_guard_django.routes import Route, routes

__all__ = ["AutoSchema", "GuardedSchemaMixin"]

_THROTTLED: Final = "429"

if TYPE_CHECKING:
    _Base = SpectacularSchema
else:
    _Base = object


class GuardedSchemaMixin(_Base):
    """For an `AutoSchema` of your own: its guarded operations tell of their denials.

    What is documented already, as by `@extend_schema`, stays as it is.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        """The operation, with the statuses that a denied request is answered with."""
        operation: Any = super().get_operation(*args, **kwargs)
        specs = tuple(self._guards()) if operation else ()
        if specs:
            guard = project_guards().sync
            found = denied_responses(
                specs,
                guard.denials,
                on_denied=guard.settings.on_denied,
                schema=self._problem(),
            )
            for status, response in found.items():
                if status == _THROTTLED:
                    response.pop("content", None)  # the framework's own answer
                operation["responses"].setdefault(status, self._rendered(response))
        return operation

    def _guards(self) -> Iterator[ViewSpec]:
        view: Any = self.view
        rules = project_guards().sync.settings.rules
        route = self._route() if rules else None
        if route is not None and not is_exempt(route.view, self.method):
            yield from (r.spec for r in rules if _holds(r, route, self.method))
        name = getattr(view, "action", None) or self.method.lower()
        own = getattr(view, "stigg_requirements", None)
        permissions, throttles = view.get_permissions(), view.get_throttles()
        needs = needs_of(view.__class__, name, permissions, throttles, own=own)
        yield from (need.spec for need in needs)

    def _route(self) -> Route | None:
        """The route of the operation in the project's URLconf, where its rules look."""
        written = _bare(self.path_regex)
        for route in _routes(get_resolver()):
            if route.owner is type(self.view) and _bare(route.path) == written:
                return route
        return None

    def _problem(self) -> dict[str, Any]:
        make: Any = ResolvedComponent
        component = make(
            name=SCHEMA_NAME,
            type=ResolvedComponent.SCHEMA,
            object=SCHEMA_NAME,
            schema=_problem_schema(),
        )
        self.registry.register_on_missing(component)
        found: dict[str, Any] = component.ref
        return found

    def _rendered(self, response: dict[str, Any]) -> dict[str, Any]:
        """With the media types that the API answers in."""
        content = response.get("content")
        if content is None:
            return response
        types: list[str] = self.map_renderers("media_type")
        if api_settings.EXCEPTION_HANDLER is exception_handler:
            types = [PROBLEM_TYPE if t == "application/json" else t for t in types]
        return {**response, "content": dict.fromkeys(types, content[PROBLEM_TYPE])}


def _problem_schema() -> dict[str, Any]:
    """The schema without its enum, whose name drf-spectacular would take from others'.

    A component of its own would be made of it, called like any `reason` of the API.
    """
    schema = problem_schema()
    reason = schema["properties"]["reason"]
    reason["description"] = f"One of {', '.join(reason.pop('enum'))}."
    return schema


@lru_cache(maxsize=1)
def _routes(_resolver: URLResolver) -> tuple[Route, ...]:
    """All routes, read once for the many operations of a document."""
    return tuple(routes())


def _bare(route: str) -> str:
    """A route without what marks the ends of its parts."""
    return re.sub(r"\^|\$|\\Z", "", route).lstrip("/")


def _holds(rule: Rule, route: Route, method: str) -> bool:
    if rule.methods is not None and method not in rule.methods:
        return False
    if rule.pattern is None:
        return rule.is_named(route.name)
    return rule.path == route.path or any(map(rule.pattern.fullmatch, route.examples))


class AutoSchema(GuardedSchemaMixin, SpectacularSchema):
    """drf-spectacular's own, with denials: `DEFAULT_SCHEMA_CLASS`."""
