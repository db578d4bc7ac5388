"""What a class-based view says of itself in attributes, as what is asked per method.

The attributes and hooks themselves are in `mixins`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, cast

from django.views.generic.edit import FormMixin

from stigg_guard.decorators import parts
from stigg_guard.requirement import AllOf, Need, Requirement
from stigg_guard.rules import rule_methods
from stigg_guard.specs import as_need, feature_spec, meter_spec, need_spec
from stigg_guard.view import ViewSpec


def _options(make: Callable[..., ViewSpec]) -> tuple[str, ...]:
    """The keywords of a function that makes specs: attributes are called like them."""
    return tuple(inspect.signature(make).parameters)[1:]


_OF_FEATURES: Final = _options(feature_spec)
_OF_METERS: Final = _options(meter_spec)
_OF_BOTH: Final = tuple(name for name in _OF_FEATURES if name in _OF_METERS)
_MORE: Final = ("usage", "values", "at_least")
_OF_NEEDS: Final = tuple(inspect.signature(need_spec).parameters)[1:]
ATTRIBUTES: Final = frozenset(
    {"feature", "feature_by_method", "meters", "metered_methods"}
    | {*_OF_FEATURES, *_OF_METERS}
)
_HOOKS: Final = {
    "customer": "get_customer",
    "resource": "get_resource",
    "exempt_when": "is_exempt",
    "on_denied": "handle_denied",
    "value": "get_value",
    "dimensions": "get_dimensions",
}
_OF_MEASURES: Final = ("value", "dimensions")


class Hook(NamedTuple):
    """A method of a view in place of a function of its request."""

    view: Any
    name: str

    def __call__(self, _request: object, *rest: object) -> Any:
        """Call it: the view knows its request."""
        return getattr(self.view, self.name)(*rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSpecs:
    """What a class asks for: by method, and of every other method.

    `hooks` are the methods that it has in place of attributes, by what they replace.
    """

    required: Mapping[str, ViewSpec | None]
    otherwise: ViewSpec | None
    metered: ViewSpec | None
    metered_methods: frozenset[str] | None
    hooks: Mapping[str, str]
    asks_by_hook: bool
    make: Callable[[Any], ViewSpec]
    """A spec for what `get_requirement` returned."""

    @property
    def all(self) -> tuple[ViewSpec, ...]:
        """Everything that some method asks for, for introspection."""
        found = (self.otherwise, *self.required.values(), self.metered)
        return tuple(dict.fromkeys(spec for spec in found if spec is not None))

    def requires(self, method: str) -> ViewSpec | None:
        """What is needed of a method."""
        return self.required.get(method, self.otherwise)

    def meters(self, method: str) -> ViewSpec | None:
        """What a method uses."""
        is_metered = self.metered_methods is None or method in self.metered_methods
        return self.metered if is_metered else None

    def hooked(self, view: object, spec: ViewSpec) -> ViewSpec:
        """The spec with the methods of a view in place of functions of the request."""
        is_metered = isinstance(spec.need, Requirement) and spec.need.metering
        changes: dict[str, Any] = {
            field: Hook(view, name)
            for field, name in self.hooks.items()
            if is_metered or field not in _OF_MEASURES
        }
        return replace(spec, **changes) if changes else spec


def class_specs(
    cls: type,
    given: Mapping[str, object],
    *,
    mixins: tuple[type, ...],
    requires: bool,
    meters: bool,
) -> ClassSpecs:
    """What a class says, with `given` in place of its attributes.

    `mixins` have the hooks as they are before anybody overrides them. Raises
    `ValueError` or `TypeError` that names the class.
    """
    read = _Reader(cls, given)
    try:
        return ClassSpecs(
            required=_by_method(read) if requires else {},
            otherwise=_otherwise(read) if requires else None,
            metered=_metered(read) if meters else None,
            metered_methods=_metered_methods(read) if meters else None,
            hooks={
                field: name
                for field, name in _HOOKS.items()
                if _is_overridden(cls, name, mixins)
            },
            asks_by_hook=_is_overridden(cls, "get_requirement", mixins),
            make=partial(_spec, read, "get_requirement"),
        )
    except (TypeError, ValueError) as error:
        raise type(error)(f"{cls.__qualname__}: {error}") from error


class _Reader:
    """The attributes of a class, with those given to `as_view` in front."""

    def __init__(self, cls: type, given: Mapping[str, object]) -> None:
        self.cls = cls
        self._given = given

    def __call__(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        found: Any = inspect.getattr_static(self.cls, name)
        if isinstance(found, staticmethod):
            return found.__func__
        if _is_method(found):
            raise TypeError(
                f"{name} is a method or property; as an attribute it is a value or a"
                f" function of the request. {_cure(name)}"
            )
        return found

    def these(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self(name) for name in names}


def _is_method(found: object) -> bool:
    """Whether it is for an instance: a method, a property, or another descriptor."""
    if inspect.isfunction(found):
        return next(iter(inspect.signature(found).parameters), None) == "self"
    return hasattr(type(found), "__get__") and not callable(found)


def _cure(name: str) -> str:
    if name in _HOOKS:
        return f"Name a method of the view {_HOOKS[name]}()."
    return "Give it another name."


def _is_overridden(cls: type, name: str, mixins: tuple[type, ...]) -> bool:
    found = next((c for c in cls.__mro__ if name in vars(c)), None)
    return found is not None and found not in mixins


def _otherwise(read: _Reader) -> ViewSpec | None:
    """What `feature` or `currency` asks for, with usage, values or a least value."""
    found, currency = read("feature"), read("currency")
    more = {name: v for name, v in read.these(_MORE).items() if v is not None}
    if currency is None and not isinstance(found, str):
        for name, value in more.items():
            raise ValueError(
                f"{name} is {value!r}, but feature is {found!r}; give the feature's id,"
                f' or write feature = feature("feature-01", {name}=...).'
            )
        return None if found is None else _spec(read, "feature", found)
    return feature_spec(found, currency=currency, **more, **read.these(_OF_BOTH))


def _spec(read: _Reader, name: str, needs: Any) -> ViewSpec:
    """A spec from an id, a `feature(...)`, or a list of what is needed altogether."""
    if isinstance(needs, str):
        return feature_spec(needs, **read.these(_OF_BOTH))
    for option in ("on_unavailable", "fallback"):
        if read(option) is not None:
            raise ValueError(
                f"{option} is {read(option)!r}, but {name} is {needs!r}; write it"
                f' there, as in feature("feature-01", {option}=...).'
            )
    return need_spec(_need(name, needs), **read.these(_OF_NEEDS))


def _need(name: str, needs: Any) -> Need:
    if isinstance(needs, list | tuple):
        return AllOf(parts(name, tuple(cast("list[Any]", needs))))
    (need,) = parts(name, (needs,))
    return as_need(need)


def _by_method(read: _Reader) -> dict[str, ViewSpec | None]:
    given = read("feature_by_method")
    if not isinstance(given, Mapping):
        raise TypeError(
            f"feature_by_method is {given!r}; use a mapping, such as"
            ' {"POST": "feature-01-templates"}.'
        )
    found: dict[str, ViewSpec | None] = {}
    written = dict(cast("Mapping[str, Any]", given))
    for method in sorted(written, key=lambda method: str(method).upper() == "HEAD"):
        needs = written[method]
        spec = None if needs is None else _spec(read, "feature_by_method", needs)
        found |= dict.fromkeys(rule_methods([method]) or (), spec)
    return found


def _metered(read: _Reader) -> ViewSpec | None:
    feature_id, asked = read("meters"), read.these(_OF_METERS)
    if feature_id is None and asked["event"] is None:
        return None
    return meter_spec(feature_id, **asked)


def _metered_methods(read: _Reader) -> frozenset[str] | None:
    """The methods that are metered; of a form, those that send it."""
    given = read("metered_methods")
    if given is None and issubclass(read.cls, FormMixin):
        return frozenset({"POST", "PUT"})
    return rule_methods(given)
