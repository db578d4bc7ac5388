"""Blinker signals that tell an application what its guard decided and what was used.

The sender is the application. A receiver that fails is logged and disturbs nobody;
async receivers work too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from blinker import NamedSignal, Namespace
from flask import Flask

from stigg_guard.decision import Decision
from stigg_guard.guard import Guard
from stigg_guard.metering.happening import Happening
from stigg_guard.steps import OutcomeName
from stigg_guard.webhooks.event import WebhookEvent

logger = logging.getLogger("stigg_guard")

_signals: Final = Namespace()

access_denied: Final = _signals.signal("stigg-guard-access-denied")
"""A request was denied. Sent with `decision`, in the request, before it is answered."""
shadow_denied: Final = _signals.signal("stigg-guard-shadow-denied")
"""A request would have been denied without shadow mode. Sent with `decision`, in the
request, when its view has run."""
usage_reported: Final = _signals.signal("stigg-guard-usage-reported")
"""The sidecar took usage. Sent with `measurement`; perhaps from another thread."""
usage_parked: Final = _signals.signal("stigg-guard-usage-parked")
"""Usage waits in the outbox until a person decides. Sent with `measurement` and
`cause`."""
usage_dropped: Final = _signals.signal("stigg-guard-usage-dropped")
"""Usage was lost. Sent with `measurement` and `cause`."""
webhook_received: Final = _signals.signal("stigg-guard-webhook-received")
"""Stigg told of a change. Sent with `event`, a `WebhookEvent`, when the guard has
forgotten what is old. What a receiver raises is answered with an error, so that the
webhook comes again."""

_OUTCOMES: Final[dict[OutcomeName, NamedSignal]] = {
    "acknowledged": usage_reported,
    "delivered": usage_reported,
    "parked": usage_parked,
    "dropped": usage_dropped,
}


def connect(app: Flask, guard: Guard) -> None:
    """Have the signals of usage sent for an application."""
    for outcome, signal in _OUTCOMES.items():
        guard.on(outcome, _hook(app, signal))


def tell_of_denial(app: Flask, decision: Decision) -> None:
    """Send the signal of a denied request."""
    _send(access_denied, app, decision=decision)


def tell_of_shadow(app: Flask, decision: Decision) -> None:
    """Send the signal of a request that shadow mode let through."""
    _send(shadow_denied, app, decision=decision)


def tell_of_webhook(app: Flask, event: WebhookEvent) -> None:
    """Send the signal of a webhook; raises the first failure when all were told."""
    failures = _send(webhook_received, app, event=event)
    if failures:
        raise failures[0]


def _hook(app: Flask, signal: NamedSignal) -> Callable[[Happening], None]:
    def hook(happening: Happening) -> None:
        about = {"measurement": happening.measurement, "cause": happening.cause}
        _send(signal, app, **about)

    return hook


def _send(signal: NamedSignal, app: Flask, **about: object) -> list[Exception]:
    failures: list[Exception] = []
    if signal.is_muted:
        return failures
    for receiver in signal.receivers_for(app):
        try:
            app.ensure_sync(receiver)(app, **about)
        except Exception as error:
            failures.append(error)
            logger.exception("The receiver %r of %r failed.", receiver, signal.name)
    return failures
