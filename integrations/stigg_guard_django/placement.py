"""Where a guard must not stand: on what is no view, or where no API knows its user.

It looks at names alone: neither Django REST framework nor django-ninja need be there.
"""

from __future__ import annotations

from typing import Any, Final

_BELOW: Final = """\
@{name} stands above @api_view on {view}(), where nobody knows yet who calls the API; \
put it below:

    @api_view([...])
    @{name}(...)
    def {view}(request): ..."""

_ON_METHODS: Final = (
    "put it on the methods or actions of {cls}, or write"
    ' permission_classes = [requires("feature-id")] in the class'
)


def refuse_misplaced(name: str, view: Any) -> None:
    """Raise `TypeError` for a place where a guard would not know the API's user."""
    if isinstance(view, type):
        _refuse_class(name, view)
        return
    if hasattr(view, "_ninja_operation"):
        raise TypeError(
            f"@{name} stands above the decorator of an API on {view.__name__}(), which"
            " has taken the function without the guard; put it below, right above the"
            " function."
        )
    owner: Any = getattr(view, "cls", None)
    if is_api_view(owner):
        raise TypeError(_stands_outside(name, owner))
    bound = getattr(view, "func", None)
    if getattr(bound, "__name__", None) == "dispatch":
        refuse_dispatch(getattr(bound, "__self__", None), f"@{name}")


def refuse_no_view(name: str, view: object) -> None:
    """Raise `TypeError` for what makes views, and is none itself."""
    if isinstance(view, type):
        mixin = "MetersUsageMixin" if name == "meters_usage" else "RequiresFeatureMixin"
        raise TypeError(
            f"@{name} stands on the class {view.__name__}; write"
            f" class {view.__name__}({mixin}, ...), or"
            f' @method_decorator({name}(...), name="dispatch").'
        )
    if isinstance(view, tuple | list):
        raise TypeError(
            f"{name}() was given what include() returned; write"
            " guarded_path(route, include(...), feature=...)."
        )


def refuse_dispatch(view: object, guard: str = "a guard") -> None:
    """Raise `TypeError` when a view of the API was guarded before it began."""
    if is_api_view(view.__class__):
        raise TypeError(on_dispatch(view.__class__, guard))


def on_dispatch(cls: type, guard: str = "a guard") -> str:
    """What is wrong with a guard on `dispatch`, and what is right."""
    where = _ON_METHODS.format(cls=cls.__name__)
    return (
        f"{guard} stands on {cls.__name__}.dispatch, where nobody knows yet who calls"
        f" the API; {where}."
    )


def _refuse_class(name: str, cls: type) -> None:
    if is_api_view(cls):
        where = _ON_METHODS.format(cls=cls.__name__)
        raise TypeError(f"@{name} stands on the class {cls.__name__}; {where}.")
    if _inherits(cls, "rest_framework.serializers", "BaseSerializer"):
        raise TypeError(
            f"@{name} stands on the serializer {cls.__name__}, which answers no"
            " request; put it on the method or action of the view that uses it."
        )


def _stands_outside(name: str, owner: type) -> str:
    if owner.__qualname__ == "WrappedAPIView":
        return _BELOW.format(name=name, view=owner.__name__)
    where = _ON_METHODS.format(cls=owner.__name__)
    return (
        f"@{name} stands on {owner.__name__}.as_view(), where nobody knows yet who"
        f" calls the API; {where}."
    )


def is_api_view(cls: object) -> bool:
    """Whether it is a class of views of Django REST framework."""
    return _inherits(cls, "rest_framework.views", "APIView")


def _inherits(cls: object, module: str, name: str) -> bool:
    bases = cls.__mro__ if isinstance(cls, type) else ()
    return any(base.__module__ == module and base.__name__ == name for base in bases)
