"""What a view needs: a feature or a credit currency, with usage, values or a value.

Whether the need is met is decided in `flow`; how it is asked for, in `sidecar`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

Policy: TypeAlias = Literal["allow", "deny"]
Update: TypeAlias = Literal["delta", "set"]
Dimension: TypeAlias = str | float | bool


class Question(NamedTuple):
    """What the sidecar is asked; equal questions of one subject have one answer."""

    feature_id: str | None
    currency_id: str | None
    usage: float | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """The answer of a requirement when the sidecar gives none.

    `value`, `usage_limit` and `enum_values` are judged as the sidecar's would be;
    leave them out where the requirement does not compare them.
    """

    has_access: bool
    value: float | None = None
    is_unlimited: bool = False
    usage_limit: float | None = None
    enum_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metering:
    """How a requirement's usage is reported once the view succeeded.

    With an `event` it is a raw event of that name, else calculated usage.
    """

    update: Update = "delta"
    event: str | None = None
    dimensions: tuple[tuple[str, Dimension], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One need: exactly one of `feature_id` and `currency_id`, and how much of it.

    A raw event that belongs to no feature needs neither: it is only metered.

    `usage` is in the feature's units, `values` are enum values that must all be
    allowed, `at_least` is compared with a numeric feature's value. With `metering` the
    usage is reported after success. Raises `ValueError` for what cannot be asked.
    """

    feature_id: str | None = None
    currency_id: str | None = None
    usage: float | None = None
    values: tuple[str, ...] = ()
    at_least: float | None = None
    fallback: Fallback | None = None
    on_unavailable: Policy | None = None
    metering: Metering | None = None
    question: Question = field(init=False, compare=False, repr=False)
    key: tuple[object, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.is_only_metered:
            _check_target(self.feature_id, self.currency_id)
        if self.usage is not None:
            check_units("usage", self.usage)
        if self.at_least is not None:
            check_units("at_least", self.at_least)
        _check_values(self.values)
        check_choice("on_unavailable", self.on_unavailable, (None, "allow", "deny"))
        total = self.metering is not None and self.metering.update == "set"
        asked = None if total else self.usage
        question = Question(self.feature_id, self.currency_id, asked, self.values)
        object.__setattr__(self, "question", question)
        object.__setattr__(self, "key", (*question, self.at_least, self.usage))

    @property
    def name(self) -> str:
        """The feature's or currency's id, or the event, for messages and settings."""
        event = self.metering.event if self.metering is not None else None
        return self.feature_id or self.currency_id or event or ""

    @property
    def is_only_metered(self) -> bool:
        """Whether there is nothing to ask: a raw event of no feature."""
        return (
            self.feature_id is None
            and self.currency_id is None
            and self.metering is not None
            and self.metering.event is not None
        )


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part must be met; the first that is not is the answer."""

    parts: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part must be met; when none is, the first denial is the answer."""

    parts: tuple[Need, ...]


Need: TypeAlias = Requirement | AllOf | AnyOf


def feature(
    feature_id: str,
    *,
    usage: float | None = None,
    values: Iterable[str] = (),
    at_least: float | None = None,
    on_unavailable: Policy | None = None,
    fallback: Fallback | bool | None = None,
) -> Requirement:
    """The requirement of a feature, such as `feature("feature-01", usage=10)`."""
    return Requirement(
        feature_id=feature_id,
        usage=usage,
        values=as_values(values),
        at_least=at_least,
        on_unavailable=on_unavailable,
        fallback=as_fallback(fallback),
    )


def currency(
    currency_id: str,
    *,
    usage: float | None = None,
    on_unavailable: Policy | None = None,
    fallback: Fallback | bool | None = None,
) -> Requirement:
    """The requirement of credits of a currency, `usage` of them when given."""
    return Requirement(
        currency_id=currency_id,
        usage=usage,
        on_unavailable=on_unavailable,
        fallback=as_fallback(fallback),
    )


def leaves(need: Need) -> tuple[Requirement, ...]:
    """Every single requirement of a need, in the order in which it is asked."""
    if isinstance(need, Requirement):
        return (need,)
    return tuple(leaf for part in need.parts for leaf in leaves(part))


def as_fallback(fallback: Fallback | bool | None) -> Fallback | None:
    """A fallback as written by a user: an answer, or just whether there is access."""
    if fallback is None or isinstance(fallback, Fallback):
        return fallback
    if isinstance(fallback, bool):
        return Fallback(has_access=fallback)
    raise ValueError(f"fallback is {fallback!r}; use True, False or a Fallback.")


def as_values(values: Iterable[str]) -> tuple[str, ...]:
    """Enum values as written by a user; a lone string is one value, not its letters."""
    if isinstance(values, str):
        return (values,)
    if not isinstance(values, Iterable):
        raise ValueError(f'values is {values!r}; give a list, such as ["eu"].')
    return tuple(values)


def as_dimensions(
    dimensions: Mapping[str, Dimension],
) -> tuple[tuple[str, Dimension], ...]:
    """Dimensions as written by a user: names, and strings, numbers or booleans."""
    if not isinstance(dimensions, Mapping):
        raise ValueError(f"dimensions is {dimensions!r}; give a mapping of names.")
    for name, value in dimensions.items():
        is_name = isinstance(name, str) and name
        if not is_name or not isinstance(value, str | int | float | bool):
            raise ValueError(
                f"dimension {name!r} is {value!r}; use a string name with a string,"
                " number or boolean."
            )
        if not can_be_sent(name) or not can_be_sent(value):
            raise ValueError(
                f"dimension {name!r} cannot be sent; use finite numbers and text that"
                " is valid UTF-8."
            )
    return tuple(dimensions.items())


def can_be_sent(value: Dimension) -> bool:
    """Whether the wire takes it: finite numbers, and text that is valid UTF-8."""
    if not isinstance(value, str):
        return is_finite(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_finite(number: float) -> bool:
    """Whether a number is finite and fits the wire's double."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


MOST_UNITS = 2.0**53
"""Beyond this a double skips whole numbers, so that usage would be lost."""


def check_change(name: str, value: object) -> float:
    """A number of units, below 0 for units given back; never a bool or a string."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {value!r}; give a number of units, such as 1.")
    if not is_finite(value) or abs(value) > MOST_UNITS:
        raise ValueError(f"{name} is {value!r}; give a finite number up to 2**53.")
    return value


def check_units(name: str, value: object) -> float:
    """A number of units that is finite and not negative, never a bool or a string."""
    if check_change(name, value) < 0:
        raise ValueError(
            f"{name} is {value!r}; give a finite number that is 0 or more."
        )
    assert isinstance(value, int | float)
    return value


def check_choice(name: str, value: object, choices: tuple[str | None, ...]) -> None:
    """One of a few words, or an error that lists them."""
    if value not in choices:
        words = " or ".join(f'"{choice}"' for choice in choices if choice is not None)
        raise ValueError(f'{name} is "{value}"; use {words}.')


def _check_target(feature_id: object, currency_id: object) -> None:
    if (feature_id is None) == (currency_id is None):
        given = "neither" if feature_id is None else "both"
        raise ValueError(
            f"a requirement was given {given} of feature id and currency;"
            " name exactly one of them."
        )
    name, value = ("feature id", feature_id)
    if feature_id is None:
        name, value = ("currency", currency_id)
    if isinstance(value, Requirement):
        raise ValueError(
            f'the {name} is a whole feature("{value.name}", ...); give "{value.name}"'
            " and the rest by keyword, or give it to requires_all(...)."
        )
    if not isinstance(value, str) or not value.strip():
        raise ValueError(
            f"the {name} is {value!r}; give its id as a non-empty string,"
            ' such as "feature-01-templates".'
        )


def _check_values(values: tuple[object, ...]) -> None:
    for value in values:
        if not isinstance(value, str) or not value:
            raise ValueError(f"values contains {value!r}; give non-empty strings.")
