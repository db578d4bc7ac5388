"""The billing period that a subscription is in, as operations and answers need it.

What a period is, is said in `budgets`; here is what holds before the first one.
"""

from __future__ import annotations

from datetime import datetime

from sidecar_client.local import budgets
from sidecar_client.local.customers import Subscription
from sidecar_client.local.periods import Window


def billing_period(subscription: Subscription, now: datetime) -> Window:
    """The billing period that holds `now`; the first before it starts."""
    return budgets.billing_period(subscription, max(now, subscription.start))
