"""What a test says of one feature or currency, and how that answers a question.

Who finds it is `world`; what an answer leads to is decided by `stigg_guard.judge`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias

from stigg_guard.decision import Answer, Entitlement, Reason
from stigg_guard.metering.moment import as_moment
from stigg_guard.requirement import Question, check_units

_OURS: Final = {
    Reason.NO_VERDICT: "use unavailable_sidecar()",
    Reason.NO_CUSTOMER: "send a request without a customer",
    Reason.PREFLIGHT: "send an OPTIONS request",
    Reason.VALUE_BELOW_REQUIRED: "use a smaller number, such as 10",
}


class Value(Protocol):
    """What holds of a feature; `used` are the units that a test saw or began with."""

    @property
    def used(self) -> float:
        """The units that were used before the test."""
        ...

    def answer(self, question: Question, used: float) -> Answer:
        """What the sidecar would say."""
        ...

    def entitlement(self, used: float) -> Entitlement | None:
        """What the customer is entitled to; None when to nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """Whatever is asked of it: units, values or credits without a limit."""

    used: float = 0

    def answer(self, question: Question, used: float) -> Answer:
        """Access, with the kind of entitlement that the question is about."""
        found = Entitlement(kind="boolean")
        if question.currency_id is not None:
            found = Entitlement(kind="credit", usage_limit=math.inf, current_usage=0)
        elif question.usage is not None:
            found = Entitlement(kind="metered", is_unlimited=True, current_usage=used)
        elif question.values:
            found = Entitlement(kind="enum", enum_values=question.values)
        return Answer(has_access=True, entitlement=found)

    def entitlement(self, used: float) -> Entitlement | None:
        """A boolean one."""
        return Entitlement(kind="boolean")


@dataclass(frozen=True, slots=True)
class denied:  # reads as a word beside metered() and enum()
    """No access, for a reason of the sidecar's: `denied(Reason.REVOKED)`."""

    reason: Reason | str = Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    used: float = 0

    def __post_init__(self) -> None:
        reason = as_reason(self.reason)
        object.__setattr__(self, "reason", reason)

    def answer(self, question: Question, used: float) -> Answer:
        """No access, whatever is asked."""
        return Answer(has_access=False, reason=as_reason(self.reason))

    def entitlement(self, used: float) -> Entitlement | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class Numeric:
    """A numeric feature's value."""

    value: float
    used: float = 0

    def answer(self, question: Question, used: float) -> Answer:
        """Access; what it is compared with is judged by the guard."""
        return Answer(has_access=True, entitlement=self.entitlement(used))

    def entitlement(self, used: float) -> Entitlement | None:
        """The value."""
        return Entitlement(kind="numeric", value=self.value)


@dataclass(frozen=True, slots=True)
class metered:
    """A metered feature: so many units, of which `used` were used before the test.

    `limit` None is no limit; a soft one may be exceeded. Usage that the code reports is
    added for each customer and resource, and forgotten when the override ends.
    """

    limit: float | None = None
    used: float = 0
    soft_limit: bool = False
    period_start: datetime | None = None
    resets_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.limit is not None:
            check_units("metered(limit=...)", self.limit)
        check_units("metered(used=...)", self.used)
        for name in ("period_start", "resets_at"):
            moment = getattr(self, name)
            if moment is not None:
                as_moment(f"metered({name}=...)", moment)

    def answer(self, question: Question, used: float) -> Answer:
        """Access if what is asked for fits; without a number, if some is left."""
        return _limited(
            self._fits(question.usage, used),
            Reason.REQUESTED_USAGE_EXCEEDING_LIMIT,
            self.entitlement(used),
        )

    def _fits(self, asked: float | None, used: float) -> bool:
        return self.limit is None or self.soft_limit or _left(self.limit, used, asked)

    def entitlement(self, used: float) -> Entitlement | None:
        """Limit, usage and period."""
        return Entitlement(
            kind="metered",
            is_unlimited=self.limit is None,
            usage_limit=self.limit,
            current_usage=used,
            has_soft_limit=self.soft_limit,
            period_start=self.period_start,
            resets_at=self.resets_at,
        )


@dataclass(frozen=True, slots=True, init=False)
class enum:
    """An enum feature that allows these values: `enum("eu", "us")`."""

    values: tuple[str, ...]
    used: float

    def __init__(self, *values: str) -> None:
        for value in values:
            if not isinstance(value, str) or not value:
                raise ValueError(f'enum() has {value!r}; give words, such as "eu".')
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "used", 0.0)

    def answer(self, question: Question, used: float) -> Answer:
        """Access if all that is asked for is among the values."""
        return _limited(
            set(question.values) <= set(self.values),
            Reason.REQUESTED_VALUES_MISMATCH,
            self.entitlement(used),
        )

    def entitlement(self, used: float) -> Entitlement | None:
        """The values."""
        return Entitlement(kind="enum", enum_values=self.values)


@dataclass(frozen=True, slots=True)
class credits:  # noqa: A001
    """Credits of a currency, of which `used` are gone: `credits(100, used=20)`."""

    limit: float
    used: float = 0

    def __post_init__(self) -> None:
        check_units("credits(limit)", self.limit)
        check_units("credits(used=...)", self.used)

    def answer(self, question: Question, used: float) -> Answer:
        """Access if what is asked for is left; without a number, if any is."""
        return _limited(
            _left(self.limit, used, question.usage),
            Reason.INSUFFICIENT_CREDITS,
            self.entitlement(used),
        )

    def entitlement(self, used: float) -> Entitlement | None:
        """Limit and usage."""
        return Entitlement(kind="credit", usage_limit=self.limit, current_usage=used)


Given: TypeAlias = (
    "bool | float | Reason | metered | enum | credits | denied | Numeric | Granted"
)
"""What a test may write for a feature."""


def as_values(given: Any) -> dict[str, Value]:
    """What holds by feature or currency; raises `ValueError` for what cannot."""
    if not _is_mapping(given):
        raise TypeError(
            f"override_entitlements was given {given!r}; use a mapping by feature id,"
            ' such as {"feature-03-custom-domain": True}.'
        )
    items: Mapping[Any, Any] = given
    for name in items:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(
                f"override_entitlements was given the feature {name!r}; use its id, a"
                ' non-empty string, such as "feature-03-custom-domain".'
            )
    return {name: as_value(name, value) for name, value in items.items()}


def _is_mapping(given: object) -> bool:
    return isinstance(given, Mapping)


def as_value(name: str, given: object) -> Value:
    """What holds of a feature, as a test wrote it."""
    if given is True:
        return Granted()
    if given is False:
        return denied()
    if isinstance(given, Reason):
        return denied(given)
    if isinstance(given, int | float) and math.isfinite(given):
        return Numeric(given)
    if isinstance(given, metered | enum | credits | denied | Numeric | Granted):
        return given
    words = f"enum({given!r})" if isinstance(given, str) else 'enum("eu")'
    raise ValueError(
        f'override_entitlements was given {given!r} for "{name}"; use True, False, a'
        f" number, metered(limit=6, used=3), {words}, credits(100) or denied(reason)."
    )


def as_reason(given: object) -> Reason:
    """A reason that the sidecar may give."""
    try:
        reason = Reason(given)  # type: ignore[arg-type]
    except ValueError:
        raise ValueError(
            f"denied() was given {given!r}; use a Reason, such as Reason.REVOKED."
        ) from None
    if reason in _OURS:
        raise ValueError(
            f"denied({reason!r}) is nothing that a sidecar answers; {_OURS[reason]}."
        )
    return reason


def _left(limit: float, used: float, asked: float | None) -> bool:
    return used < limit if asked is None else used + asked <= limit


def _limited(fits: bool, otherwise: Reason, entitlement: Entitlement | None) -> Answer:
    return Answer(
        has_access=fits, reason=None if fits else otherwise, entitlement=entitlement
    )
