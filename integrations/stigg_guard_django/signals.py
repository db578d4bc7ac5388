"""Signals that tell a project what its guard decided and what was used.

Receivers may be sync or async; one that fails is logged by Django and disturbs nobody.
The sender is the class of what is told, `Decision` or `Measurement`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from django.dispatch import Signal
from django.http import HttpRequest

from stigg_guard import Decision, Guard, Happening, Measurement, Reason
from stigg_guard.base_guard import keep_running
from stigg_guard.steps import OutcomeName

access_denied: Final = Signal()
"""A request was denied. Sent with `request` and `decision`, when it was answered."""
shadow_denied: Final = Signal()
"""A request would have been denied without shadow mode. Sent with `request` and
`decision`, when its view has run."""
usage_reported: Final = Signal()
"""The sidecar took usage. Sent with `measurement`; perhaps from another thread."""
usage_parked: Final = Signal()
"""Usage waits in the outbox until a person decides. Sent with `measurement` and
`cause`."""
usage_dropped: Final = Signal()
"""Usage was lost. Sent with `measurement`, `decision` and `cause`; one of the first two
is None: what could not even be measured was only decided."""
webhook_received: Final = Signal()
"""Stigg told of a change. Sent with `event`, a `WebhookEvent`, and `request`, when the
guard has forgotten what is old; the sender is `WebhookEvent`. What a receiver raises is
answered with an error, so that the webhook comes again."""

_OUTCOMES: Final[dict[OutcomeName, Signal]] = {
    "acknowledged": usage_reported,
    "delivered": usage_reported,
    "parked": usage_parked,
    "dropped": usage_dropped,
}


def connect(guard: Guard) -> None:
    """Have the signals of usage sent for a guard."""
    for outcome, signal in _OUTCOMES.items():
        guard.on(outcome, _hook(signal))


def _hook(signal: Signal) -> Callable[[Happening], None]:
    def hook(happening: Happening) -> None:
        if not signal.receivers:
            return
        about: dict[str, Any] = {"measurement": happening.measurement}
        if signal is not usage_reported:
            about["cause"] = happening.cause
        if signal is usage_dropped:
            about["decision"] = happening.decision
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            signal.send_robust(Measurement, **about)
        else:  # which nobody may hold up
            keep_running(_sent(signal, about))

    return hook


async def _sent(signal: Signal, about: dict[str, Any]) -> None:
    await signal.asend_robust(Measurement, **about)


class _Telling(NamedTuple):
    signal: Signal
    about: dict[str, Any]


def tell(request: HttpRequest, decisions: list[Decision]) -> None:
    """Send what is to be told of a request's decisions, from sync code."""
    for signal, about in _tellings(request, decisions):
        signal.send_robust(Decision, **about)


async def atell(request: HttpRequest, decisions: list[Decision]) -> None:
    """Send what is to be told of a request's decisions, from async code."""
    for signal, about in _tellings(request, decisions):
        await signal.asend_robust(Decision, **about)


def _tellings(request: HttpRequest, decisions: list[Decision]) -> Iterator[_Telling]:
    if not access_denied.receivers and not shadow_denied.receivers:
        return
    for decision in decisions:
        if not decision.allowed and decision.reason is not Reason.PREFLIGHT:
            signal = shadow_denied if decision.is_shadow else access_denied
            yield _Telling(signal, {"request": request, "decision": decision})
