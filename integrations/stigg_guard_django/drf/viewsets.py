"""Requirements of a viewset by action, in one mapping that is checked with the class.

What they mean is said by `permissions` and `throttles`, which make them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, TypeAlias, cast

from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from stigg_guard import ConfigurationError
from stigg_guard.view import ViewSpec, in_order
from stigg_guard_django.drf.permissions import RequiresFeature
from stigg_guard_django.drf.throttles import MeteringThrottle
from stigg_guard_django.drf.views import guarded

One: TypeAlias = type[RequiresFeature] | type[MeteringThrottle]
Requirements: TypeAlias = Mapping[str, One | Iterable[One]]


class GuardedViewSetMixin:
    """A viewset whose actions need what `stigg_requirements` says, by their names.

    Each is one `requires(...)` or `meters(...)`, or a list of them. It is asked after
    authentication, permissions and throttles, right before the action. What "update"
    needs, "partial_update" needs too, unless it has an entry of its own.
    """

    stigg_requirements: ClassVar[Requirements] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check_place(cls)
        _check_mapping(cls, cls.stigg_requirements)
        for action, needs in cls.stigg_requirements.items():
            _check_action(cls, action)
            _specs(cls, action, needs)

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        """Put the action behind its guard, once everything else was checked."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]  # of APIView
        action, found = getattr(self, "action", None), self.stigg_requirements
        specs = specs_of_action(type(self), action, found)
        if specs:
            method = request.method.lower()
            setattr(self, method, guarded(getattr(self, method), specs))


def specs_of_action(
    cls: type, action: str | None, found: Requirements | None = None
) -> tuple[ViewSpec, ...]:
    """What a viewset's mapping says of an action; nothing for other classes.

    `found` is what `as_view` was given in place of it.
    """
    if not issubclass(cls, GuardedViewSetMixin):
        return ()
    found = cls.stigg_requirements if found is None else found
    _check_mapping(cls, found)
    if action == "partial_update" and action not in found:
        action = "update"
    if action is None or action not in found:
        return ()
    return in_order(_specs(cls, action, found[action]))


def _specs(cls: type, action: str, needs: Any) -> tuple[ViewSpec, ...]:
    listed: Iterable[Any] = (needs,)
    if isinstance(needs, list | tuple):
        listed = cast("Iterable[Any]", needs)
    return tuple(_spec(cls, action, need) for need in listed)


def _spec(cls: type, action: str, need: Any) -> ViewSpec:
    is_ours = inspect.isclass(need) and issubclass(
        need, (RequiresFeature, MeteringThrottle)
    )
    spec: ViewSpec | None = getattr(need, "spec", None) if is_ours else None
    if spec is None or getattr(need, "resource_of", None) is not None:
        raise ConfigurationError(
            f'{cls.__name__}.stigg_requirements["{action}"] has {need!r}; use'
            ' requires("feature-id") or meters("feature-id"), or a list of them.'
        )
    return spec


def _check_place(cls: type) -> None:
    mro = cls.__mro__
    if APIView in mro and mro.index(APIView) < mro.index(GuardedViewSetMixin):
        raise ConfigurationError(
            f"{cls.__name__} has GuardedViewSetMixin on the right of its viewset, where"
            f" it never asks; write class {cls.__name__}(GuardedViewSetMixin, ...)."
        )


def _check_mapping(cls: type, found: object) -> None:
    if not isinstance(found, Mapping):
        raise ConfigurationError(
            f"{cls.__name__}.stigg_requirements is {found!r}; use a mapping by action,"
            ' such as {"create": requires("feature-id")}.'
        )


def _check_action(cls: type, action: str) -> None:
    if not issubclass(cls, ViewSetMixin):
        raise ConfigurationError(
            f"{cls.__name__} has stigg_requirements and is no viewset; decorate its"
            " methods, or derive it from a ViewSet too."
        )
    if action in actions_of(cls):
        return
    close = get_close_matches(str(action), actions_of(cls), n=1)
    meant = f' Did you mean "{close[0]}"?' if close else ""
    raise ConfigurationError(
        f'{cls.__name__}.stigg_requirements names "{action}", which is no action of the'
        f" viewset.{meant} It has {', '.join(sorted(actions_of(cls))) or 'none'}."
    )


def actions_of(cls: Any) -> frozenset[str]:
    """The names of a viewset's actions: those that routers know, and its own."""
    usual = ("list", "create", "retrieve", "update", "partial_update", "destroy")
    own = (action.__name__ for action in cls.get_extra_actions())
    mapped = (
        name for action in cls.get_extra_actions() for name in action.mapping.values()
    )
    found = (name for name in usual if callable(getattr(cls, name, None)))
    return frozenset((*found, *own, *mapped))
