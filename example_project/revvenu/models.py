"""What Revvenu keeps: its users, and what they made.

What a user may make is not kept here: the sidecar knows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone


class User(AbstractBaseUser):
    """Somebody who works with Revvenu, for one customer of the billing system."""

    customer_id: models.CharField[str, str] = models.CharField(
        max_length=255, unique=True
    )
    company: models.CharField[str, str] = models.CharField(max_length=80)
    story: models.CharField[str, str] = models.CharField(max_length=200)
    subscribers: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(
        default=0
    )

    USERNAME_FIELD = "customer_id"
    objects: ClassVar[BaseUserManager[User]] = BaseUserManager()


class Template(models.Model):
    """An email's design."""

    owner: models.ForeignKey[User, User] = models.ForeignKey(
        User, models.CASCADE, related_name="templates"
    )
    name: models.CharField[str, str] = models.CharField(max_length=60)
    created: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        default=timezone.now
    )
    form_id: models.UUIDField[UUID | None, UUID | None] = models.UUIDField(null=True)
    """The form it was made with: one that is sent twice makes one template."""
    objects: ClassVar[models.Manager[Template]] = models.Manager()

    class Meta:
        """Newest first; one for each form."""

        ordering: ClassVar[list[str]] = ["-created", "-pk"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["owner", "form_id"], name="once_by_form")
        ]


class Campaign(models.Model):
    """An email that was sent, and how it was received."""

    owner: models.ForeignKey[User, User] = models.ForeignKey(
        User, models.CASCADE, related_name="campaigns"
    )
    subject: models.CharField[str, str] = models.CharField(max_length=80)
    sent: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        default=timezone.now
    )
    recipients: models.PositiveIntegerField[int, int] = models.PositiveIntegerField()
    opened: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(
        default=0
    )
    clicked: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(
        default=0
    )
    objects: ClassVar[models.Manager[Campaign]] = models.Manager()

    class Meta:
        """Newest first."""

        ordering: ClassVar[list[str]] = ["-sent", "-pk"]

    @property
    def open_rate(self) -> int:
        """How many of a hundred recipients opened it."""
        return round(100 * self.opened / self.recipients) if self.recipients else 0

    @property
    def click_rate(self) -> int:
        """How many of a hundred recipients clicked in it."""
        return round(100 * self.clicked / self.recipients) if self.recipients else 0


class Domain(models.Model):
    """The domain a user's emails are sent from."""

    owner: models.OneToOneField[User, User] = models.OneToOneField(
        User, models.CASCADE, related_name="domain"
    )
    name: models.CharField[str, str] = models.CharField(max_length=253)
    objects: ClassVar[models.Manager[Domain]] = models.Manager()


class Asset(models.Model):
    """A file that was uploaded: its name and size; the demo keeps no content."""

    owner: models.ForeignKey[User, User] = models.ForeignKey(
        User, models.CASCADE, related_name="assets"
    )
    name: models.CharField[str, str] = models.CharField(max_length=255)
    size: models.PositiveIntegerField[int, int] = models.PositiveIntegerField()
    uploaded: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        default=timezone.now
    )
    objects: ClassVar[models.Manager[Asset]] = models.Manager()

    class Meta:
        """Newest first."""

        ordering: ClassVar[list[str]] = ["-uploaded", "-pk"]


class Burst(models.Model):
    """The last time that a user had a hundred requests sent, and how they ended."""

    owner: models.OneToOneField[User, User] = models.OneToOneField(
        User, models.CASCADE, related_name="burst"
    )
    started: models.DateTimeField[datetime, datetime] = models.DateTimeField(
        default=timezone.now
    )
    seconds: models.FloatField[float | None, float | None] = models.FloatField(
        null=True
    )
    """How long all of them took; None while they are under way."""
    statuses: models.JSONField[dict[str, int], Any] = models.JSONField(default=dict)
    """How often each status was answered."""
    counted: models.CharField[str, str] = models.CharField(max_length=80, default="")
    """What the sidecar counted afterwards, in words; empty when it did not answer."""
    is_within: models.BooleanField[bool, bool] = models.BooleanField(default=False)
    """Whether that was within the limit."""
    objects: ClassVar[models.Manager[Burst]] = models.Manager()

    @property
    def is_running(self) -> bool:
        """Whether answers are still to come; not when its process ended meanwhile."""
        is_young = timezone.now() - self.started < timedelta(minutes=2)
        return self.seconds is None and is_young
