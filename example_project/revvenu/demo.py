"""The three demo customers, and what they begin with.

The numbers agree with the usage that the demo catalog begins with.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.apps import apps
from django.apps.registry import Apps
from django.db import transaction
from django.db.models import Manager, Model
from django.utils import timezone

from example_project.revvenu.models import User
from example_project.revvenu.plans import CAMPAIGNS, TEMPLATES
from example_project.revvenu.waiting import rows_of_customer
from stigg_guard import AccessDenied, Guard, Subject

_PATIENCE: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One of the customers to log in as."""

    id: str
    company: str
    story: str
    subscribers: int
    templates: tuple[str, ...] = ()
    campaigns: tuple[tuple[str, int, int], ...] = ()
    """Subjects of the campaigns of past months, with what was opened and clicked."""


CUSTOMERS: Final = (
    Customer(
        id="customer-demo-01",
        company="Harbor & Pine",
        story="Essentials plan, well within its limits.",
        subscribers=4180,
        templates=("Autumn catalogue", "Welcome letter", "Order shipped"),
        campaigns=(
            ("The autumn catalogue is here", 2257, 669),
            ("Two days of free shipping", 1714, 376),
            ("A note from the workshop", 1923, 251),
            ("Back in stock: the oak bench", 2466, 920),
        ),
    ),
    Customer(
        id="customer-demo-02",
        company="Bluebird Bakery",
        story="Free plan, with every template in use.",
        subscribers=320,
        templates=(
            "Weekly specials",
            "Birthday treat",
            "Holiday orders",
            "New opening hours",
            "Wedding cakes",
            "Loyalty card",
        ),
        campaigns=(("Rye is back", 188, 41),),
    ),
    Customer(
        id="customer-demo-03",
        company="Old Mill Books",
        story="Archived account: it can look, but not touch.",
        subscribers=96,
    ),
)


def start_over(guard: Guard, user: User) -> bool:
    """Give a demo customer what it began with; whether the sidecar knows it already."""
    customer = next(found for found in CUSTOMERS if found.id == user.customer_id)
    with transaction.atomic():
        for name in ("Asset", "Burst", "Campaign", "Domain", "Template"):
            rows_of(apps, name).filter(owner=user).delete()
        fill(apps, user, customer)
    # An archived customer has no usage to set.
    if not customer.templates:
        return True
    _use(guard, customer.id, TEMPLATES, len(customer.templates))
    _use(guard, customer.id, CAMPAIGNS, 0)
    return _has_arrived(guard, customer.id)


def fill(models: Apps, user: object, customer: Customer) -> None:
    """Make what a customer begins with; a migration brings its own models."""
    now = timezone.now()
    for age, name in enumerate(customer.templates):
        created = now - timedelta(days=9 * age + 3)
        rows_of(models, "Template").create(owner=user, name=name, created=created)
    for age, (subject, opened, clicked) in enumerate(customer.campaigns):
        rows_of(models, "Campaign").create(
            owner=user,
            subject=subject,
            sent=now - timedelta(days=14 * age + 40),
            recipients=customer.subscribers,
            opened=opened,
            clicked=clicked,
        )


def rows_of(models: Apps, name: str) -> Manager[Model]:
    """The rows of one of Revvenu's models."""
    manager: Manager[Model] = models.get_model("revvenu", name)._default_manager
    return manager


def _use(guard: Guard, customer_id: str, feature_id: str, total: int) -> None:
    """Report a total, behind what waits in the outbox."""
    usage = guard.metered(
        Subject(customer_id),
        feature_id,
        value=total,
        update="set",
        delivery="background",
    )
    with suppress(AccessDenied), usage:
        pass


def _has_arrived(guard: Guard, customer_id: str) -> bool:
    """Wait until nothing of a customer waits, or the sidecar turns out to be away."""
    give_up = time.monotonic() + _PATIENCE
    while rows := rows_of_customer(guard, customer_id):
        if time.monotonic() > give_up or any(row.attempts for row in rows):
            return False
        time.sleep(0.02)
    return True
