"""Permission classes: what a customer must have, beside what a user may.

They are combined with the framework's own by `&` and `|`; how, is in `composites`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, ParamSpec

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from stigg_guard import AccessDenied, ConfigurationError
from stigg_guard.requirement import leaves
from stigg_guard.specs import feature_spec
from stigg_guard.view import ViewSpec
from stigg_guard_django.drf.composites import Composable, derived
from stigg_guard_django.drf.denied import denied
from stigg_guard_django.drf.entry import admit

P = ParamSpec("P")
ResourceOf = Callable[[Any], str | None]


class RequiresFeature(BasePermission, metaclass=Composable):
    """The customer must have a feature; `requires` makes these classes."""

    spec: ClassVar[ViewSpec | None] = None
    resource_of: ClassVar[ResourceOf | None] = None

    def __init__(self, *feature: object) -> None:
        if self.spec is None or feature:
            raise ConfigurationError(
                "RequiresFeature stands among the permission classes as it is; write"
                ' permission_classes = [requires("feature-id")].'
            )
        self._request: Request | None = None
        self.refusal: AccessDenied | None = None

    @classmethod
    def of_object(cls, resource: ResourceOf) -> type[RequiresFeature]:
        """The same of the object of a request, whose resource this function tells.

        It is asked when the view gets its object, as `get_object()` does.
        """
        if not callable(resource):
            raise TypeError(
                f"of_object was given {resource!r}; give a function from the object to"
                " the id of its resource."
            )
        found: type[RequiresFeature] = derived(
            cls, cls.__name__, resource_of=staticmethod(resource)
        )
        return found

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether the customer has it; with `of_object`, that is asked later."""
        assert self.spec is not None
        return self.resource_of is not None or self._meets(request, view, self.spec)

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        """Whether the customer has it for the object's resource."""
        if self.resource_of is None:
            return True
        assert self.spec is not None
        resource = type(self).resource_of(obj)  # type: ignore[misc]  # just seen

        def resource_of_object(_request: object) -> str | None:
            return resource

        spec = replace(self.spec, resource=resource_of_object)
        return self._meets(request, view, spec)

    def allow_request(self, request: Request, view: Any) -> bool:
        """Say where this belongs: among throttles it has no place."""
        raise ConfigurationError(
            f"{type(self).__name__} stands among throttle_classes; move it to"
            " permission_classes."
        )

    @property
    def message(self) -> None:
        """Nothing; raises the denial when the view turns the request away for this."""
        if self.refusal is not None:
            assert self._request is not None
            raise denied(self._request, self.refusal)

    def _meets(self, request: Request, view: Any, spec: ViewSpec) -> bool:
        self._request, self.refusal = request, None
        try:
            admit(request, view, spec)
        except AccessDenied as error:
            self.refusal = error
        return self.refusal is None


def _written_as(
    spec: Callable[P, ViewSpec],
) -> Callable[P, type[RequiresFeature]]:
    def write(*args: P.args, **kwargs: P.kwargs) -> type[RequiresFeature]:
        found = spec(*args, **kwargs)
        name = f'requires("{leaves(found.need)[0].name}")'
        made: type[RequiresFeature] = derived(RequiresFeature, name, spec=found)
        return made

    return write


requires = _written_as(feature_spec)
"""A permission class: `permission_classes = [IsAuthenticated, requires("feature-id")]`.

It takes the options of `requires_feature`. A denied request is answered 402, or as the
reason demands, not with the 403 of a missing permission.
"""
