"""What is reported as calculated usage becomes changes of counters.

Validation and effect of these reports live here; raw events (`event_intake`) do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import uuid4

from sidecar_client.local.catalog import Feature
from sidecar_client.local.crossings import tell, usage_crossings
from sidecar_client.local.evaluation import (
    Reason,
    Standing,
    Subject,
    billed_counter_at,
    counter_at,
    standing,
)
from sidecar_client.local.meters import MOST_NUMBER
from sidecar_client.local.periods import Window
from sidecar_client.local.records import (
    History,
    Key,
    Point,
    Usage,
    customer_key,
    history_key,
)
from sidecar_client.local.refusal import (
    Code,
    Refusal,
    checked_id,
    checked_moment,
    checked_number,
)
from sidecar_client.local.repeats import is_first
from sidecar_client.local.units import in_units
from sidecar_client.local.wallets import spend
from sidecar_client.local.world import Transaction, World
from sidecar_client.protocol import sidecar_pb2 as pb

MOST_USAGES = 100
MOST_HISTORY = 1000

_UPDATES: dict[int, Literal["delta", "set"]] = {
    pb.USAGE_UPDATE_BEHAVIOR_UNSPECIFIED: "delta",
    pb.USAGE_UPDATE_BEHAVIOR_DELTA: "delta",
    pb.USAGE_UPDATE_BEHAVIOR_SET: "set",
}
_STATUS: dict[Reason, tuple[Code, str]] = {
    "CUSTOMER_NOT_FOUND": (
        "NOT_FOUND",
        "there is no customer {customer!r}; add it to the catalog",
    ),
    "CUSTOMER_RESOURCE_NOT_FOUND": (
        "NOT_FOUND",
        "customer {customer!r} has no resource {resource!r}; add it to the catalog",
    ),
    "FEATURE_NOT_FOUND": (
        "NOT_FOUND",
        "there is no feature {feature!r}; add it to the catalog",
    ),
    "CUSTOMER_IS_ARCHIVED": (
        "FAILED_PRECONDITION",
        "customer {customer!r} is archived and cannot use anything",
    ),
    "NO_ACTIVE_SUBSCRIPTION": (
        "FAILED_PRECONDITION",
        "customer {customer!r} has no active subscription here; "
        "subscribe it, or name the resource that is subscribed",
    ),
    "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION": (
        "FAILED_PRECONDITION",
        "no subscription of customer {customer!r} entitles to {feature!r}",
    ),
    "REVOKED": (
        "FAILED_PRECONDITION",
        "{feature!r} is revoked for customer {customer!r}",
    ),
    "FEATURE_TYPE_MISMATCH": (
        "FAILED_PRECONDITION",
        "feature {feature!r} is not metered; only metered features have usage",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measurement:
    request: pb.ReportUsageRequest
    subject: Subject
    standing: Standing
    feature: Feature
    counter: Key[Usage]
    billed: Key[Usage] | None
    update: Literal["delta", "set"]
    value: float
    window: Window | None


class Reporter:
    """Carries out reports against a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def report(
        self,
        requests: Sequence[pb.ReportUsageRequest],
        *,
        keys: Sequence[str | None] = (),
    ) -> list[pb.ReportUsageResponse]:
        """Apply all measurements, or refuse and apply none.

        Of the measurements with the same key, only the first ever is applied; another
        one with it is refused.
        """
        many = len(requests) > 1

        async def apply(transaction: Transaction) -> list[pb.ReportUsageResponse]:
            answers: list[pb.ReportUsageResponse] = []
            for at, request in enumerate(requests):
                where = f"usages[{at}]." if many else ""
                made = await _measurement(transaction, request, where=where)
                key = keys[at] if keys else None
                if key is None or await _is_first(transaction, request, key, where):
                    total = await _applied(transaction, made)
                else:
                    total = await _total(transaction, made)
                answers.append(_acknowledged(made, total))
            return answers

        return await self._world.transact(apply)

    async def report_bulk(
        self,
        requests: Sequence[pb.ReportUsageRequest],
        *,
        keys: Sequence[str | None] = (),
    ) -> list[pb.ReportUsageResponse]:
        """Like `report`, for 1 to 100 measurements."""
        if not 1 <= len(requests) <= MOST_USAGES:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"usages has {len(requests)} measurements; "
                f"send 1 to {MOST_USAGES} at a time.",
            )
        return await self.report(requests, keys=keys)


async def _measurement(
    transaction: Transaction, request: pb.ReportUsageRequest, *, where: str
) -> _Measurement:
    subject = Subject(
        customer_id=checked_id("customer", request.customer_id, where=where),
        resource_id=(
            checked_id("resource", request.resource_id, where=where)
            if request.HasField("resource_id")
            else None
        ),
    )
    feature_id = checked_id("feature", request.feature_id, where=where)
    value = checked_number(f"{where}value", request.value)
    update = _update(request.update_behavior, where)
    check_dimensions(request.dimensions, f"{where}dimensions")
    now = transaction.now
    moment = now
    if request.HasField("timestamp"):
        moment = checked_moment(f"{where}timestamp", request.timestamp)
    index = await transaction.index()
    customer = await transaction.read(customer_key(subject.customer_id))
    found = standing(index, customer, subject, feature_id, now, wanted="metered")
    if found.reason is not None or found.feature is None:
        raise _refused(found.reason or "FEATURE_NOT_FOUND", request, where)
    if found.feature.events is not None:
        raise Refusal(
            "FAILED_PRECONDITION",
            f"{where}feature_id: {feature_id!r} is counted from the events "
            f"{found.feature.events.event!r}; report those instead.",
        )
    counter, window = counter_at(found, subject, moment)
    return _Measurement(
        request=request,
        subject=subject,
        standing=found,
        feature=found.feature,
        counter=counter,
        billed=billed_counter_at(found, subject, moment),
        update=update,
        value=value,
        window=window,
    )


async def _applied(transaction: Transaction, made: _Measurement) -> float:
    """Write the counter's new total, which is returned."""
    usage = await transaction.read(made.counter) or Usage()
    total = made.value + (usage.total if made.update == "delta" else 0.0)
    if not 0 <= total <= MOST_NUMBER:
        raise _out_of_range(made, total)
    await _count(transaction, made.counter, usage, total)
    before, after = in_units(made.feature, usage.total), in_units(made.feature, total)
    await spend(transaction, made.subject, {made.feature.id: after - before})
    crossings = usage_crossings(made.standing, made.counter, before, after)
    tell(transaction, made.subject.customer_id, crossings)
    if made.billed is not None:
        billed = await transaction.read(made.billed) or Usage()
        sum_ = billed.total + total - usage.total
        transaction.write(made.billed, Usage(total=sum_, updated=transaction.now))
    return total


async def _total(transaction: Transaction, made: _Measurement) -> float:
    """The counter's total, left as it is."""
    usage = await transaction.read(made.counter)
    return usage.total if usage else 0.0


async def _is_first(
    transaction: Transaction, request: pb.ReportUsageRequest, key: str, where: str
) -> bool:
    said = request.SerializeToString(deterministic=True)
    return await is_first(transaction, "measurement", key, said, where=where)


async def _count(
    transaction: Transaction, counter: Key[Usage], before: Usage, total: float
) -> None:
    """Write a new total; the last one of an earlier minute goes into the history."""
    now = transaction.now
    if before.updated is not None and _minute(before.updated) != _minute(now):
        key = history_key(counter.name)
        points = (await transaction.read(key) or History()).points
        last = Point(at=_minute(before.updated), total=before.total)
        points = (*points[1 - MOST_HISTORY :], last)
        transaction.write(key, History(points=points))
    transaction.write(counter, Usage(total=total, updated=now))


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)


def _update(number: int, where: str) -> Literal["delta", "set"]:
    if number in _UPDATES:
        return _UPDATES[number]
    raise Refusal(
        "INVALID_ARGUMENT",
        f"{where}update_behavior is {number}; use 1 (DELTA) or 2 (SET).",
    )


def _refused(reason: Reason, request: pb.ReportUsageRequest, where: str) -> Refusal:
    code, text = _STATUS[reason]
    message = text.format(
        customer=request.customer_id,
        resource=request.resource_id,
        feature=request.feature_id,
    )
    return Refusal(
        code, f"{where.removesuffix('.')}: {message}." if where else f"{message}."
    )


def _out_of_range(made: _Measurement, total: float) -> Refusal:
    did = "setting" if made.update == "set" else "adding"
    return Refusal(
        "OUT_OF_RANGE",
        f"value: {did} {made.value:g} would make the usage of "
        f"{made.request.feature_id!r} {total:g}; it cannot be below 0 or above "
        "2**53 - 1.",
    )


def _acknowledged(item: _Measurement, total: float) -> pb.ReportUsageResponse:
    request, window = item.request, item.window
    response = pb.ReportUsageResponse(
        measurement_id=str(uuid4()),
        customer_id=request.customer_id,
        resource_id=request.resource_id if request.HasField("resource_id") else None,
        feature_id=request.feature_id,
        current_usage=in_units(item.feature, total),
    )
    if window is not None:
        response.usage_period_start.FromDatetime(window.start)
        response.usage_period_end.FromDatetime(window.end)
    return response


def check_dimensions(
    dimensions: Mapping[str, pb.EventDimensionValue], where: str
) -> None:
    """Refuse dimensions without a name or a value that can be kept."""
    for name, value in dimensions.items():
        kind = value.WhichOneof("value")
        if not name:
            raise Refusal("INVALID_ARGUMENT", f"{where} has an empty name; give one.")
        if kind is None:
            raise Refusal(
                "INVALID_ARGUMENT",
                f"{where}[{name!r}] has no value; set a string, a number or a boolean.",
            )
        if kind == "number_value":
            checked_number(f"{where}[{name!r}]", value.number_value)
