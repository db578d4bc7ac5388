"""What the management API tells of a customer, as a catalog says it.

Answers are the vendor's client's; what was used is not told by it, and begins at 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sidecar_client.local.pulled_definitions import Data, said, terms_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers:
    """What customers may refer to; what they refer to besides is noted."""

    types: Mapping[str, str]
    plans: Mapping[str, Data]
    addons: Collection[str]
    currencies: Collection[str]
    notes: list[str]

    def customer_of(
        self,
        item: Any,
        *,
        resources: Sequence[str],
        subscriptions: Sequence[Any],
        promotions: Sequence[Any],
        grants: Sequence[Any],
    ) -> Data:
        """A customer and what it has."""
        known = dict.fromkeys(resources)
        for part in (*subscriptions, *grants):
            if part.resource_id is not None:
                known[part.resource_id] = None
        what = f"customer {item.id!r}"
        return said(
            id=item.id,
            name=item.name,
            email=item.email,
            archived=item.archived_at is not None or None,
            resources=list(known),
            subscriptions=list(self._subscriptions(subscriptions, what)),
            promotions=list(self._promotions(promotions, what)),
            credits=list(self._grants(grants, what)),
            metadata=item.metadata,
        )

    def _subscriptions(self, items: Sequence[Any], what: str) -> Iterator[Data]:
        for item in items:
            plan = self.plans.get(item.plan_id)
            if plan is None:
                self.notes.append(
                    f"{what} subscribes to {item.plan_id!r}, which is not published:"
                    " left out"
                )
                continue
            yield self._subscription(item, plan)

    def _subscription(self, item: Any, plan: Data) -> Data:
        ends = item.effective_end_date or item.end_date
        trial_end = getattr(item, "trial_end_date", None)
        is_trial = item.status == "IN_TRIAL"
        fitting = plan.get("addons", self.addons)
        budget = item.budget
        return said(
            id=item.id,
            plan=item.plan_id,
            resource=item.resource_id,
            start=_iso(item.start_date),
            end=_iso(ends) if ends and ends > item.start_date else None,
            status=None if item.status == "ACTIVE" else str(item.status).lower(),
            trial_end=(
                _iso(trial_end)
                if is_trial and trial_end and trial_end > item.start_date
                else None
            ),
            canceled_at=_iso(item.cancellation_date),
            addons=[
                said(id=bought.id, quantity=_many(bought.quantity))
                for bought in item.addons or ()
                if bought.id in self.addons and bought.id in fitting
            ],
            budget=budget
            and said(limit=budget.limit, soft_limit=budget.has_soft_limit or None),
            metadata=item.metadata,
        )

    def _promotions(self, items: Sequence[Any], what: str) -> Iterator[Data]:
        for item in items:
            if item.status == "Expired":
                continue
            name = item.feature_id
            terms = terms_of(
                *(item, self.types.get(name), f"{what}: {name!r}", self.notes)
            )
            if terms is None or terms is False:
                continue
            ends = item.end_date
            yield said(
                feature=name,
                entitlement=terms,
                start=_iso(item.start_date),
                end=_iso(ends) if ends and ends > item.start_date else None,
                status="paused" if item.status == "Paused" else None,
            )

    def _grants(self, items: Sequence[Any], what: str) -> Iterator[Data]:
        for item in items:
            left = item.amount - item.consumed_amount
            is_given = item.grant_type in ("PAID", "PROMOTIONAL")
            if not is_given or item.status in ("EXPIRED", "VOIDED") or left <= 0:
                continue
            if item.currency_id not in self.currencies:
                self.notes.append(
                    f"{what} has credits of {item.currency_id!r}, which is no currency:"
                    " left out"
                )
                continue
            ends = item.expire_at
            yield said(
                id=item.id,
                currency=item.currency_id,
                amount=left,
                type=None if item.grant_type == "PAID" else "promotional",
                name=item.display_name,
                priority=int(item.priority) or None,
                effective=_iso(item.effective_at),
                expires=_iso(ends) if ends and ends > item.effective_at else None,
                resource=item.resource_id,
                metadata=item.metadata,
            )


def _many(quantity: int) -> int | None:
    return quantity if quantity > 1 else None


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())
