"""What one `meters_usage` has promised to report when the view succeeded.

How it is held and delivered is `metering.conversation`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf

from stigg_guard.decision import Decision, Entitlement
from stigg_guard.metering.holds.base import Place, Want
from stigg_guard.metering.measurement import Measurement, new_key, now_utc
from stigg_guard.requirement import Requirement
from stigg_guard.view import ViewSpec

_INSTANT = timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True)
class Promise:
    """Units that a request may use: decided, and perhaps held.

    `units` are what the view said before it ran, below 0 for what it gives back. `want`
    is what is to be held of them, None when nothing limits them. With `is_shadow` no
    limit stops it: what would exceed one is only noted.
    """

    spec: ViewSpec
    decision: Decision
    units: float
    key: str
    moment: datetime
    want: Want | None = None
    is_held: bool = False
    goes_directly: bool = True
    is_shadow: bool = False

    @property
    def place(self) -> Place | None:
        """Where its units are counted, if they are."""
        return None if self.want is None else self.want.place


def promise(
    spec: ViewSpec,
    decision: Decision,
    units: float,
    moment: datetime | None,
    *,
    is_shadow: bool = False,
) -> Promise:
    """The promise of a metered requirement that was decided, with what it takes."""
    key = new_key()
    want = _want(decision, units, key)
    return Promise(
        spec=spec,
        decision=decision,
        units=units,
        key=key,
        moment=moment or _moment(decision),
        want=unlimited(want) if decision.is_shadow else want,
        is_shadow=is_shadow,
    )


def unlimited(want: Want | None) -> Want | None:
    """The same units, held against no limit: the ledger knows them."""
    return None if want is None else replace(want, limit=inf)


def unasked_promise(measurement: Measurement, spec: ViewSpec) -> Promise:
    """The promise of usage that is reported without a question: known, not limited."""
    requirement, feature_id = spec.need, measurement.feature_id
    assert isinstance(requirement, Requirement)
    subject = measurement.subject
    decision = Decision(
        allowed=True, requirement=requirement, subject=subject, source="guard"
    )
    want = None
    if feature_id is not None:
        place = Place(subject.customer_id, subject.resource_id, feature_id)
        want = _known(place, measurement.key)
    return Promise(
        spec=spec,
        decision=decision,
        units=measurement.value,
        key=measurement.key,
        moment=measurement.timestamp,
        want=want,
    )


def _known(place: Place, key: str) -> Want:
    """Nothing is held, but the ledger knows that a report is under way."""
    return Want(place=place, key=key, units=0, limit=inf, usage=None, period=None)


def _moment(decision: Decision) -> datetime:
    """Now, within the usage period that the sidecar judged by.

    Our clock and the sidecar's may disagree about the moment a period begins. One that
    an old answer told of may be over by now.
    """
    now, entitlement = now_utc(), decision.entitlement
    if entitlement is None:
        return now
    if _is_over(entitlement, now) and decision.source == "sidecar":
        assert entitlement.resets_at is not None
        return entitlement.resets_at - _INSTANT
    if entitlement.period_start is not None and now < entitlement.period_start:
        return entitlement.period_start.astimezone(UTC)
    return now


def _want(decision: Decision, units: float, key: str) -> Want | None:
    """What to hold: nothing where there is no hard limit to hold it against.

    What is given back holds nothing either, but is known to be under way.
    """
    requirement, subject = decision.requirement, decision.subject
    assert requirement.metering is not None
    if subject is None or requirement.feature_id is None:
        return None
    place = Place(subject.customer_id, subject.resource_id, requirement.feature_id)
    update = requirement.metering.update
    if units < 0:
        return _known(place, key)
    limit, usage = _limit(decision)
    if limit is None:
        return None
    entitlement = decision.entitlement
    assert entitlement is not None
    start, is_fresh = entitlement.period_start, decision.source == "sidecar"
    if not is_fresh and _is_over(entitlement, now_utc()):
        # An old answer stands in, of a period that is over: this is the next one's.
        start, usage = entitlement.resets_at, 0.0
    return Want(
        place=place,
        key=key,
        units=units,
        limit=limit,
        usage=usage,
        period=None if start is None else start.timestamp(),
        update=update,
        is_fresh=is_fresh,
    )


def _is_over(entitlement: Entitlement, now: datetime) -> bool:
    return entitlement.resets_at is not None and now >= entitlement.resets_at


def _limit(decision: Decision) -> tuple[float | None, float | None]:
    """The hard limit and the usage known, as far as the decision tells."""
    entitlement = decision.entitlement
    if entitlement is None or entitlement.kind != "metered":
        return None, None
    if entitlement.is_unlimited or entitlement.has_soft_limit:
        return None, None
    return entitlement.usage_limit, entitlement.current_usage
