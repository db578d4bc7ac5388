"""How a customer's templates stand, in words that the page shows as they are.

The page is rendered with them, and its script asks for them again: see `backstage`.
"""

from __future__ import annotations

from typing import TypeAlias

from example_project.revvenu.burst import CREATED, DENIED
from example_project.revvenu.models import Burst, Template, User
from example_project.revvenu.room import room
from example_project.revvenu.waiting import waiting
from example_project.switch import switch
from stigg_guard import Guard

Words: TypeAlias = dict[str, str | int | bool]


def standing(guard: Guard, user: User) -> Words:
    """What the sidecar counts, what waits to be reported, and how a burst went."""
    found, button = room(guard, user.customer_id), switch()
    waits = waiting(guard, user.customer_id)
    return {
        "answers": found.is_answered,
        "away": not found.is_answered,
        "can_stop": button is not None and button.is_on,
        "can_start": button is not None and not button.is_on,
        "has_no_switch": button is None,
        "here": Template.objects.filter(owner=user).count(),
        "counted": found.text or "?",
        "waits": bool(waits),
        "reports": waits.reports,
        "waiting": waits.text,
        "age": waits.age,
        **_burst(Burst.objects.filter(owner=user).first()),
    }


def _burst(burst: Burst | None) -> Words:
    statuses: dict[str, int] = {} if burst is None else burst.statuses
    seconds = None if burst is None else burst.seconds
    counted = "" if burst is None else burst.counted
    is_running = burst is not None and burst.is_running
    created, denied = statuses.get(CREATED, 0), statuses.get(DENIED, 0)
    answered = sum(statuses.values())
    return {
        "burst_runs": is_running,
        "burst_ended": seconds is not None,
        "answered": answered,
        "created": created,
        "denied": denied,
        "others": answered - created - denied,
        "has_others": answered > created + denied,
        "took": "" if seconds is None else f"{seconds:.1f} s",
        "burst_counted": counted,
        "is_within": bool(counted and burst and burst.is_within),
        "is_over": bool(counted and burst and not burst.is_within),
        "is_unknown": seconds is not None and not counted,
    }
