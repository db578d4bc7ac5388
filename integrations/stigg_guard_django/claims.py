"""Which rows a worker may have now, and the order of lanes.

The transaction that they are claimed in is `outbox`'s.

`queue` is a row's lane while it waits, pending or in flight. A lane is open when its
first row is due, which an index tells without a look at the others.
"""

from __future__ import annotations

from math import inf

from django.db.models import Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from stigg_guard_django.models import OutboxRow


def due_rows(
    rows: QuerySet[OutboxRow], *, now: float, most: int, skip_locked: bool
) -> list[OutboxRow]:
    """Rows that are due, each behind its lane's earlier ones; locked, oldest first.

    One query for each state: an index has the rows of a state in their order.
    """
    open_rows = _of_open_lanes(rows, now).order_by("pk")
    free = open_rows.select_for_update(skip_locked=skip_locked)
    pending = free.filter(state="pending", due_at__lte=now)[:most]
    abandoned = free.filter(state="in_flight", lease_until__lte=now)[:most]
    found = sorted([*pending, *abandoned], key=lambda row: row.pk)
    return _in_order(rows, found[:most])


def _of_open_lanes(rows: QuerySet[OutboxRow], now: float) -> QuerySet[OutboxRow]:
    lane = rows.filter(queue=OuterRef("queue")).order_by("pk")
    first = Subquery(lane.values(due=Coalesce("lease_until", "due_at"))[:1])
    return rows.alias(first_due_at=first).filter(
        Q(queue=None) | Q(first_due_at__lte=now)
    )


def _in_order(rows: QuerySet[OutboxRow], found: list[OutboxRow]) -> list[OutboxRow]:
    """Without those that an earlier row of their lane holds up.

    Such a row is put off, or another claim, which is not committed yet, has locked it.
    """
    lanes = {row.queue for row in found if row.queue is not None}
    if not lanes:
        return found
    others = rows.filter(queue__in=lanes, pk__lt=found[-1].pk)
    strangers = others.exclude(pk__in=[row.pk for row in found])
    first: dict[str | None, int] = dict(
        strangers.order_by().values_list("queue").annotate(Min("pk"))
    )
    return [row for row in found if row.pk < first.get(row.queue, inf)]
