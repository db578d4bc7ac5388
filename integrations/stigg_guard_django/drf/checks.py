"""System checks of an API's views: guards where they cannot work, with the right place.

What is wrong already while a module is imported is refused there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.core.checks import CheckMessage, Error

from stigg_guard import specs_of
from stigg_guard_django.drf.permissions import RequiresFeature, requires
from stigg_guard_django.drf.throttles import MeteringThrottle, meters
from stigg_guard_django.drf.viewsets import GuardedViewSetMixin
from stigg_guard_django.placement import on_dispatch

_LISTS: Final[tuple[tuple[str, str, type, type, Any], ...]] = (
    ("permission_classes", "requires", RequiresFeature, MeteringThrottle, requires),
    ("throttle_classes", "meters", MeteringThrottle, RequiresFeature, meters),
)


def check_view(view: Any) -> Iterator[CheckMessage]:
    """E020 to E022 of the view of a route of an API."""
    cls: Any = view.cls
    if specs_of(cls.dispatch):
        yield Error(on_dispatch(cls), id="stigg_guard.E020")
    options: dict[str, Any] = getattr(view, "initkwargs", {})
    for name, word, right, wrong, function in _LISTS:
        for item in options.get(name, getattr(cls, name)) or ():
            cure = _cure(item, word, right, wrong, function)
            if cure:
                yield Error(f"{cls.__name__}.{name} {cure}.", id="stigg_guard.E021")
    if hasattr(cls, "stigg_requirements") and not issubclass(cls, GuardedViewSetMixin):
        yield Error(
            f"{cls.__name__} has stigg_requirements, and nothing that asks for them.",
            hint=f"Write class {cls.__name__}(GuardedViewSetMixin, ...).",
            id="stigg_guard.E022",
        )


def _cure(item: Any, word: str, right: type, wrong: type, function: Any) -> str:
    """What is wrong with one of a list of classes, and what to do."""
    if item is function or item is right:
        return f'names {word} as it is; write {word}("feature-id")'
    if isinstance(item, type) and issubclass(item, wrong):
        place = "throttle" if wrong is MeteringThrottle else "permission"
        return f"has {item.__name__}; move it to {place}_classes"
    return ""
