"""`&` and `|` of our permission classes with others: the reason of a denial is kept.

The framework's own composites know only yes and no, and answer 403. Ours win over them
on either side of an operator, since they inherit from what makes those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from rest_framework.permissions import (
    BasePermission,
    BasePermissionMetaclass,
    OperandHolder,
    SingleOperandHolder,
)
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from stigg_guard import AccessDenied
from stigg_guard_django.drf.entry import keep_from_caches


class Composable(BasePermissionMetaclass, OperandHolder, SingleOperandHolder):
    """The class of permission classes that may be combined.

    Python asks the right operand first when its type inherits from the left one's.
    """

    __init__ = type.__init__  # pyright: ignore[reportAssignmentType]  # of classes
    __call__ = type.__call__  # pyright: ignore[reportAssignmentType]  # of classes
    __eq__ = type.__eq__
    __hash__ = type.__hash__

    def __and__(cls, other: Any) -> Any:
        return _composite("and", cls, other)

    def __rand__(cls, other: Any) -> Any:
        return _composite("and", other, cls)

    def __or__(cls, other: Any) -> Any:
        return _composite("or", cls, other)

    def __ror__(cls, other: Any) -> Any:
        return _composite("or", other, cls)

    def __invert__(cls) -> NoReturn:
        raise TypeError(
            f"~{cls.__name__} would turn away those who have the feature, for no reason"
            " that could be told; ask guard_from().check(...) in a permission of your"
            " own."
        )


class Composite(BasePermission, metaclass=Composable):
    """All of some permissions, or any of them; they are asked in order."""

    operator: ClassVar[str]
    parts: ClassVar[tuple[Any, ...]]

    def __init__(self) -> None:
        self._permissions = [part() for part in self.parts]
        self._refused: list[Any] = []

    def has_permission(self, request: Request, view: Any) -> bool:
        """Whether all permissions are given, or any.

        Who is let through by another one is let through a guard all the same.
        """
        keep_from_caches(request, view)
        return self._decide(lambda each: bool(each.has_permission(request, view)))

    def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
        """The same of an object; one that was not given for the view gives nothing."""

        def is_given(each: Any) -> bool:
            if self.operator == "or" and not each.has_permission(request, view):
                return False
            return bool(each.has_object_permission(request, view, obj))

        return self._decide(is_given)

    def _decide(self, is_given: Callable[[Any], bool]) -> bool:
        self._refused = []
        for permission in self._permissions:
            found = is_given(permission)
            if not found:
                self._refused.append(permission)
            if found is (self.operator == "or"):
                return found
        return self.operator == "and"

    @property
    def refusal(self) -> AccessDenied | None:
        """Why the customer was denied, if that is among the reasons."""
        found = (getattr(each, "refusal", None) for each in self._refused)
        return next((refusal for refusal in found if refusal is not None), None)

    @property
    def message(self) -> Any:
        """What the permission says that turned the request away; ours raise."""
        for permission in self._refused:
            if getattr(permission, "refusal", None) is not None:
                return permission.message
        return getattr(self._refused[0], "message", None) if self._refused else None

    @property
    def code(self) -> Any:
        """The code of the permission that turned the request away."""
        return getattr(self._refused[0], "code", None) if self._refused else None


def _composite(operator: str, left: Any, right: Any) -> Any:
    for part in (left, right):
        if isinstance(part, type) and issubclass(part, BaseThrottle):
            raise TypeError(
                f"{part.__name__} is no permission but a throttle; write"
                f" throttle_classes = [meters(...)]."
            )
    name = f"{_name(left)}_{operator}_{_name(right)}"
    return derived(Composite, name, operator=operator, parts=(left, right))


def derived(base: Any, name: str, **members: object) -> Any:
    """A class of permissions that is made from another."""
    make: Any = Composable  # its bases hide that it is a class of classes
    return make(name, (base,), {"__module__": base.__module__, **members})


def _name(part: Any) -> str:
    return getattr(part, "__name__", type(part).__name__)
