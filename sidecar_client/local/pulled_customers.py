"""What the management API tells of a customer, as a catalog says it.

Answers are the vendor's client's; what was used is not told by it, and begins at 0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sidecar_client.local.customers import RUNNING
from sidecar_client.local.http.rest.words import CANCEL_REASONS, PROMOTION_PERIODS
from sidecar_client.local.pulled_definitions import Data, said, terms_of

_LONGEST_MONTH: Final = timedelta(days=31)
_BY_END: Final = ("lifetime", "custom")
"""The periods that an end, or none, says already."""


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
            archived_at=_iso(item.archived_at),
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
        fitting = plan.get("addons", self.addons)
        budget, reason = item.budget, item.cancel_reason
        return said(
            id=item.id,
            plan=item.plan_id,
            resource=item.resource_id,
            **_course(item),
            canceled_at=_iso(item.cancellation_date),
            cancel_reason=reason and CANCEL_REASONS.get(reason),
            paying_customer=item.paying_customer_id,
            billing_period="annually" if _is_billed_yearly(item) else None,
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
            ends = _after(item.start_date, item.end_date)
            period = PROMOTION_PERIODS.get(item.period)
            yield said(
                feature=name,
                entitlement=terms,
                start=_iso(item.start_date),
                end=ends,
                period=None if ends is None or period in _BY_END else period,
                visible=None if item.is_visible else False,
                status="paused" if item.status == "Paused" else None,
            )

    def _grants(self, items: Sequence[Any], what: str) -> Iterator[Data]:
        for item in items:
            is_given = item.grant_type in ("PAID", "PROMOTIONAL")
            if not is_given or item.status in ("EXPIRED", "VOIDED"):
                continue
            if item.currency_id not in self.currencies:
                self.notes.append(
                    f"{what} has credits of {item.currency_id!r}, which is no currency:"
                    " left out"
                )
                continue
            yield said(
                id=item.id,
                currency=item.currency_id,
                amount=item.amount,
                spent=min(item.consumed_amount, item.amount) or None,
                type=None if item.grant_type == "PAID" else "promotional",
                name=item.display_name,
                priority=int(item.priority) or None,
                effective=_iso(item.effective_at),
                expires=_after(item.effective_at, item.expire_at),
                resource=item.resource_id,
                cost=item.cost.amount or None,
                metadata=item.metadata,
            )


def _course(item: Any) -> Data:
    """When a subscription holds, and how it comes to its end."""
    start, trial_end = item.start_date, item.trial_end_date
    status = str(item.status).lower()
    if status == "not_started":
        # Time starts it where it is served, too.
        status = "in_trial" if trial_end else "active"
    ends = item.effective_end_date or item.end_date
    if ends == trial_end and status in RUNNING:
        # What becomes of it when its trial ends is for `trial_end_behavior` to say.
        ends = item.end_date
    is_trial = status == "in_trial"
    goes_on = item.trial and item.trial.trial_end_behavior == "CONVERT_TO_PAID"
    return said(
        start=_iso(start),
        end=_after(start, ends),
        status=None if status == "active" else status,
        trial_end=_after(start, trial_end) if is_trial else None,
        trial_end_behavior="convert_to_paid" if is_trial and goes_on else None,
    )


def _is_billed_yearly(item: Any) -> bool:
    """The API tells no period, but when the present one begins and ends."""
    begins, ends = item.current_billing_period_start, item.current_billing_period_end
    return begins is not None and ends is not None and ends - begins > _LONGEST_MONTH


def _after(begin: Any, end: Any) -> str | None:
    """An end, unless it comes before the beginning, where a catalog has none."""
    return _iso(end) if end is not None and end > begin else None


def _many(quantity: int) -> int | None:
    return quantity if quantity > 1 else None


def _iso(moment: Any) -> str | None:
    return None if moment is None else str(moment.isoformat())
