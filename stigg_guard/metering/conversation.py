"""The conversation about usage, written once: hold, measure, deliver or keep, settle.

Generators like those of `stigg_guard.flow`, which says when they are due; no I/O.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from math import inf
from typing import Any, Final, Literal, TypeAlias

from stigg_guard.decision import Decision, Entitlement, NoAnswer, Reason
from stigg_guard.functions import is_for_afterwards, names_of
from stigg_guard.metering.acknowledged import Acknowledged
from stigg_guard.metering.holds.base import (
    GiveBack,
    HoldsUnavailable,
    Keep,
    Mode,
    Peek,
    Place,
    Settle,
    Standing,
    Take,
    Taken,
)
from stigg_guard.metering.measurement import MOST_EVENT_BYTES, Measurement
from stigg_guard.metering.moment import as_moment
from stigg_guard.metering.outbox.row import NewRow
from stigg_guard.metering.patience import Patience
from stigg_guard.metering.promise import Promise, unasked_promise, unlimited
from stigg_guard.metering.terms import Terms
from stigg_guard.requirement import (
    Requirement,
    as_dimensions,
    check_change,
    check_units,
)
from stigg_guard.steps import (
    Call,
    Ground,
    Hold,
    InTransaction,
    Outcome,
    Pause,
    Report,
    RequestScope,
    Step,
    Store,
    Stream,
    StreamMeter,
)
from stigg_guard.subject import Subject
from stigg_guard.view import ViewSpec

Fate: TypeAlias = Literal["acknowledged", "stored", "parked", "dropped", "bypassed"]
"""What became of a measurement; `dropped` is logged in full, `bypassed` is not reported
because the guard is switched off."""

UNMETERED_METHODS: Final = frozenset({"HEAD", "OPTIONS"})

UNTIL_COMMITTED: Final = 30.0
"""Seconds that units stay held for a row that is not committed yet."""


def room_flow(
    subject: Subject, requirement: Requirement, patience: Patience, ground: Ground
) -> Generator[Step, Any, Decision | None]:
    """The denial of a place that is crowded: no question to the sidecar is needed.

    None when there may be room, or nothing is known.
    """
    if requirement.feature_id is None:
        return None
    place = Place(subject.customer_id, subject.resource_id, requirement.feature_id)
    while (limit := ground.crowd(place)) is not None:
        standing = yield Hold(Peek(place=place))
        if not isinstance(standing, Standing):
            return None
        if standing.held + (requirement.usage or 0) <= limit:
            ground.crowded(place, None)
            return None
        pause = patience.pause()
        if pause is None:
            return _crowded_out(subject, requirement, standing.counted, limit)
        yield Pause(pause)
    return None


def hold_flow(
    promises: Sequence[Promise], patience: Patience, ground: Ground
) -> Generator[Step, Any, Decision | None]:
    """Hold what all promises want, or nothing; the denial, None when all is held.

    One in shadow mode is never refused and never waits: its decision says so instead.
    """
    while True:
        wants = tuple(
            item.want
            for item in promises
            if item.want is not None and item.goes_directly
        )
        if not wants:
            return None
        taken = yield from _take(Take(wants=wants, lease=ground.terms.lease))
        if taken.granted:
            break
        if _lets_through(promises, taken):
            continue
        refused = next(item for item in promises if item.place == taken.refused)
        assert refused.want is not None
        if taken.refusal == "used":
            return _over_limit(refused.decision, taken.counted)
        if taken.refusal == "held":
            ground.crowded(refused.want.place, refused.want.limit)
        pause = patience.pause()
        if pause is None and taken.refusal == "held":
            return _over_limit(refused.decision, taken.counted)
        if pause is None or taken.refusal is None:
            return _no_verdict(refused.decision)
        yield Pause(pause)
    for item in promises:
        item.is_held = item.want is not None and item.goes_directly
        if item.is_held:
            ground.happened("held", item.decision)
    if patience.has_waited:
        ground.happened("waited", promises[0].decision)
    return None


def _lets_through(promises: Sequence[Promise], taken: Taken) -> bool:
    """Whether a refused promise is in shadow mode, and so does without its hold."""
    for item in promises:
        want = item.want
        if want is None or want.place != taken.refused or not item.is_shadow:
            continue
        if taken.refusal == "fenced" and item.goes_directly:
            # Its total is being compared just now: behind that, in its turn.
            item.goes_directly = False
            return True
        if taken.refusal != "fenced" and want.limit != inf:
            item.want = unlimited(want)
            denied = _over_limit(item.decision, taken.counted)
            item.decision = replace(denied, is_shadow=True)
            return True
    return False


def _take(take: Take) -> Generator[Step, Any, Taken]:
    try:
        taken = yield Hold(take)
    except BaseException:
        # Cancelled: nobody knows whether it was granted.
        for want in take.wants:
            yield Hold(GiveBack(place=want.place, keys=(want.key,)))
        raise
    if isinstance(taken, HoldsUnavailable):
        return Taken(refusal="fenced", refused=take.wants[0].place)
    assert isinstance(taken, Taken)
    return taken


def settle_flow(
    promises: Sequence[Promise], outcome: Outcome, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, None]:
    """What becomes of promises once the view has run, in their order.

    A `when` that fails is like a function that fails in `measure_flow`.
    """
    late: list[Promise] = []
    for item in promises:
        try:
            counts = _counts(item, outcome, scope)
        except Exception as error:
            yield from _unmeasured(item, error, ground)
            continue
        if not counts:
            yield from give_back(item)
        elif outcome.is_streamed and item.spec.streamed != "start":
            late.append(item)
        else:
            yield from measure_flow(item, outcome, scope, ground)
    if late:
        yield from _stream_flow(late, outcome, scope, ground)


def _counts(item: Promise, outcome: Outcome, scope: RequestScope) -> bool:
    if outcome.status is None or scope.method in UNMETERED_METHODS:
        return False
    return item.spec.when(outcome.status)


def _stream_flow(
    late: list[Promise], outcome: Outcome, scope: RequestScope, ground: Ground
) -> Generator[Step, Any, None]:
    meters = tuple(
        StreamMeter(None if isinstance(wanted, str) else wanted)
        for wanted in (item.spec.streamed for item in late)
    )
    is_complete = yield Stream(meters)
    for item, meter in zip(late, meters, strict=True):
        if meter.error is not None:
            yield from _unmeasured(item, meter.error, ground)
        elif meter.units_of is not None:
            yield from measure_flow(item, outcome, scope, ground, sent=meter.units)
        elif is_complete:
            yield from measure_flow(item, outcome, scope, ground)
        else:
            yield from give_back(item)


def measure_flow(
    item: Promise,
    outcome: Outcome,
    scope: RequestScope,
    ground: Ground,
    *,
    sent: float | None = None,
) -> Generator[Step, Any, None]:
    """Measure what one promise really used, and deliver it.

    A user's function that fails here cannot undo the view: the usage is counted as
    dropped and logged.
    """
    try:
        measurement = yield from _measured(item, outcome, scope, sent)
    except Exception as error:
        yield from _unmeasured(item, error, ground)
        return
    if measurement.value == 0 and measurement.update == "delta":
        yield from give_back(item)
        return
    ground.happened("measured", measurement)
    yield from deliver_flow(measurement, item, ground)
    scope.measurements.append(measurement)
    scope.answers.clear()
    scope.taken.clear()


def _unmeasured(
    item: Promise, error: Exception, ground: Ground
) -> Generator[Step, Any, None]:
    ground.happened("dropped", item.decision, f"it cannot be measured: {error!r}")
    yield from give_back(item)


def _measured(
    item: Promise, outcome: Outcome, scope: RequestScope, sent: float | None
) -> Generator[Step, Any, Measurement]:
    requirement, spec = item.decision.requirement, item.spec
    metering = requirement.metering
    assert metering is not None
    assert item.decision.subject is not None
    units = scope.used(requirement.name)
    if units is None:
        units = item.units if sent is None else sent
        if is_for_afterwards(spec.value) and sent is None:
            units = yield from call(spec.value, scope, outcome)
    check = check_units if metering.update == "set" else check_change
    units = check("value", units)
    dimensions, moment = metering.dimensions, item.moment
    if is_for_afterwards(spec.dimensions):
        found = yield from call(spec.dimensions, scope, outcome, units)
        dimensions = as_dimensions(found)
    if is_for_afterwards(spec.timestamp):
        found = yield from call(spec.timestamp, scope, outcome)
        moment = as_moment("timestamp", found)
    return Measurement(
        subject=item.decision.subject,
        feature_id=requirement.feature_id,
        value=units,
        update=metering.update,
        event=metering.event,
        dimensions=dimensions,
        timestamp=moment,
        key=item.key,
    )


def call(
    function: Any, scope: RequestScope, outcome: Outcome | None, units: float = 0
) -> Generator[Step, Any, Any]:
    """Call a user's function with the request and what else it wants by name."""
    wanted: dict[str, object] = {}
    if names_of(function):
        wanted = {
            "arguments": scope.arguments,
            "result": scope.result,
            "response": None if outcome is None else outcome.response,
            "usage": units,
        }
    return (yield Call(function, scope.request, wanted))


def give_back(item: Promise) -> Generator[Step, Any, None]:
    """End the hold of a promise that used nothing."""
    if item.is_held and item.place is not None:
        item.is_held = False
        yield Hold(GiveBack(place=item.place, keys=(item.key,)))


def report_flow(
    measurement: Measurement, spec: ViewSpec, ground: Ground
) -> Generator[Step, Any, Fate]:
    """Report usage that nobody asked for before; it is counted, and limits nothing."""
    if ground.bypasses():
        return "bypassed"
    item = unasked_promise(measurement, spec)
    ground.happened("measured", measurement)
    if item.want is not None:
        taken = yield Hold(Take(wants=(item.want,), lease=ground.terms.lease))
        item.is_held = isinstance(taken, Taken) and taken.granted
        is_fenced = isinstance(taken, Taken) and not taken.granted
        if is_fenced:
            # Its total is being compared just now: behind that, in its turn.
            item.is_held, item.goes_directly = True, False
    return (yield from deliver_flow(measurement, item, ground))


def deliver_flow(
    measurement: Measurement, item: Promise, ground: Ground
) -> Generator[Step, Any, Fate]:
    """Report a measurement and wait for it, or store it; its hold lives as long."""
    too_large = _too_large(measurement)
    if too_large is not None:
        ground.happened("dropped", measurement, too_large)
        yield from give_back(item)
        return "dropped"
    row = NewRow(
        measurement=measurement,
        is_held=item.is_held,
        period=None if item.want is None else item.want.period,
        on_ambiguous=ground.terms.on_ambiguous,
    )
    is_in_transaction = ground.follows_transactions and (yield InTransaction())
    goes_directly = item.goes_directly and not is_in_transaction
    if goes_directly and item.spec.delivery == "acknowledged":
        reply = yield from _report(row, ground)
        if isinstance(reply, Acknowledged):
            yield from _settled(item, measurement, reply, ground)
            return "acknowledged"
        row = rejected(row, reply)
    return (yield from _keep_flow(row, item, ground, is_in_transaction))


def _keep_flow(
    row: NewRow, item: Promise, ground: Ground, is_in_transaction: bool
) -> Generator[Step, Any, Fate]:
    """Store a row; its hold stays until the outbox has delivered it.

    A transaction may be rolled back, which nobody is told: until it is committed, the
    hold is one that runs out.
    """
    place, measurement = item.place, row.measurement
    if place is None or not item.is_held:
        return (yield from _store_flow(row, ground))
    keep = Keep(
        place=place,
        key=item.key,
        units=None if measurement.update == "set" else max(0.0, measurement.value),
        mode="open",
        lease=UNTIL_COMMITTED,
        period=row.period,
    )
    yield Hold(keep)
    fate = yield from _store_flow(row, ground)
    if fate == "dropped":
        return fate
    item.is_held = False
    if not is_in_transaction:
        # Its worker may be sending the row by now, or have ended the hold.
        mode: Mode = "doubtful" if row.doubtful else "stored"
        yield Hold(replace(keep, units=None, mode=mode, only_if_open=True))
    return fate


def _report(
    row: NewRow, ground: Ground
) -> Generator[Step, Any, Acknowledged | NoAnswer]:
    try:
        reply: Acknowledged | NoAnswer = yield Report(row.measurement)
        return reply
    except BaseException as error:
        # Cancelled amid the report: it may have arrived, and nobody waits any more.
        cut = NoAnswer(cause=f"the report was interrupted: {error!r}")
        yield Store(rejected(row, cut), waits=False)
        ground.happened("stored", row.measurement, cut.cause)
        raise


def _settled(
    item: Promise, measurement: Measurement, reply: Acknowledged, ground: Ground
) -> Generator[Step, Any, None]:
    ground.happened("acknowledged", measurement)
    ground.reported(measurement)
    if item.place is not None:
        period = None if item.want is None else item.want.period
        waits = not _is_as_held(item, measurement)
        item.is_held = False
        ended = settlement(measurement, reply, item.place, ground.terms, period)
        yield Hold(ended, waits=waits)


def _is_as_held(item: Promise, measurement: Measurement) -> bool:
    """Whether just what was held was used.

    Then the hold's end changes nothing of what is counted, and nobody need wait for it:
    until it is carried out, the hold itself stands for the units. Fewer would be
    missing to whoever comes next, and more would not be counted yet.
    """
    return (
        item.is_held
        and item.want is not None
        and item.want.units == measurement.value
        and measurement.update == "delta"
    )


def settlement(
    measurement: Measurement,
    reply: Acknowledged,
    place: Place,
    terms: Terms,
    period: float | None,
) -> Settle:
    """How the hold of an acknowledged measurement ends."""
    is_event = measurement.event is not None
    return Settle(
        place=place,
        key=measurement.key,
        units=measurement.value,
        young_for=terms.events_young_for if is_event else terms.usage_young_for,
        total=reply.current_usage,
        update=measurement.update,
        period=period,
    )


def rejected(row: NewRow, reply: NoAnswer) -> NewRow:
    """The row of a measurement that was tried and not acknowledged."""
    if reply.refused and not reply.may_have_arrived:
        return replace(row, state="parked", attempts=1, error=reply.cause)
    doubtful = reply.may_have_arrived and row.measurement.is_change
    parks = doubtful and row.on_ambiguous == "park"
    return replace(
        row,
        state="parked" if parks else "pending",
        doubtful=doubtful,
        attempts=1,
        error=reply.cause,
    )


def _store_flow(row: NewRow, ground: Ground) -> Generator[Step, Any, Fate]:
    failure = yield Store(row)
    measurement = row.measurement
    if failure is not None:
        ground.happened("dropped", measurement, f"{row.error or 'new'}; {failure}")
        return "dropped"
    if row.state == "parked":
        ground.happened("parked", measurement, row.error or "")
        return "parked"
    ground.happened("stored", measurement, row.error or "")
    return "stored"


def _too_large(measurement: Measurement) -> str | None:
    if measurement.event is None or measurement.size <= MOST_EVENT_BYTES:
        return None
    return (
        f"the event has {measurement.size} bytes, and the sidecar takes"
        f" {MOST_EVENT_BYTES}; put less into its dimensions"
    )


def _over_limit(decision: Decision, counted: float) -> Decision:
    entitlement = decision.entitlement
    return replace(
        decision,
        allowed=False,
        reason=Reason.REQUESTED_USAGE_EXCEEDING_LIMIT,
        source="holds",
        entitlement=entitlement and replace(entitlement, current_usage=counted),
    )


def _crowded_out(
    subject: Subject, requirement: Requirement, counted: float, limit: float
) -> Decision:
    entitlement = Entitlement(kind="metered", usage_limit=limit, current_usage=counted)
    return Decision(
        allowed=False,
        requirement=requirement,
        subject=subject,
        reason=Reason.REQUESTED_USAGE_EXCEEDING_LIMIT,
        source="holds",
        entitlement=entitlement,
    )


def _no_verdict(decision: Decision) -> Decision:
    return replace(
        decision,
        allowed=False,
        reason=Reason.NO_VERDICT,
        is_fallback=True,
        source="holds",
    )
