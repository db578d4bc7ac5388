"""The billing periods of a subscription: by the month or the year, from its start.

Only their times live here; nothing is billed.
"""

from __future__ import annotations

from datetime import datetime

from sidecar_client.local.customers import Subscription
from sidecar_client.local.periods import Window, window_at


def billing_period(subscription: Subscription, now: datetime) -> Window:
    """The billing period that holds `now`; the first before it starts."""
    return window_at(
        max(now, subscription.start),
        period="year" if subscription.billing_period == "annually" else "month",
        rule="subscription_start",
        begun=subscription.start,
    )
