"""How the outbox's rows are kept in the project's database; who moves them: `outbox`.

Times are seconds since 1970. The record is the truth of what was measured; columns
beside it that repeat a part of it are there to be found and shown.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import ClassVar, Final, cast

from django.db import models

from stigg_guard.metering.measurement import Measurement
from stigg_guard.metering.outbox.base import NewRow, OnAmbiguous, Row, State

STATES: Final = [
    ("pending", "Pending"),
    ("in_flight", "In flight"),
    ("delivered", "Delivered"),
    ("parked", "Parked"),
]
WAITING: Final = ("pending", "in_flight")
DISCARDABLE: Final = ("pending", "parked")
_ID: Final = re.compile(r"[1-9][0-9]*")
_LARGEST_ID: Final = 2**63 - 1
_PLAIN_KEY: Final = re.compile(r"[a-z0-9_.:-]{1,64}")


class OutboxRow(models.Model):
    """A measurement that was stored, and how far it has got."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    key: models.CharField[str, str] = models.CharField(
        max_length=71,
        help_text="What has the same key is the same usage.",
    )
    state: models.CharField[str, str] = models.CharField(
        max_length=9, choices=STATES, help_text="Parked rows wait for a person."
    )
    lane: models.CharField[str | None, str | None] = models.CharField(
        max_length=32,
        null=True,
        help_text="Rows of a lane are sent in their order.",
    )
    queue: models.CharField[str | None, str | None] = models.CharField(
        max_length=32,
        null=True,
        help_text="The lane while the row holds up later ones.",
    )
    customer: models.CharField[str, str] = models.CharField(max_length=255)
    name: models.CharField[str, str] = models.CharField(
        "feature or event", max_length=255
    )
    record: models.TextField[str, str] = models.TextField(
        help_text="All of the measurement, as JSON."
    )
    doubtful: models.BooleanField[bool, bool] = models.BooleanField(
        help_text="It was sent, and nobody knows whether it arrived."
    )
    is_held: models.BooleanField[bool, bool] = models.BooleanField(
        "held", help_text="Its units are held until it is acknowledged."
    )
    period: models.FloatField[float | None, float | None] = models.FloatField(
        "usage period",
        null=True,
        help_text="Start of the period its units are held in.",
    )
    on_ambiguous: models.CharField[str, str] = models.CharField(
        "when in doubt",
        max_length=9,
        choices=[("reconcile", "Reconcile"), ("park", "Park")],
    )
    attempts: models.PositiveIntegerField[int, int] = models.PositiveIntegerField()
    error: models.TextField[str | None, str | None] = models.TextField(
        "last error", null=True
    )
    created_at: models.FloatField[float, float] = models.FloatField("stored")
    changed_at: models.FloatField[float, float] = models.FloatField("changed")
    due_at: models.FloatField[float, float] = models.FloatField("due")
    worker: models.CharField[str, str] = models.CharField(
        max_length=255, blank=True, help_text="Who is sending it."
    )
    lease_until: models.FloatField[float | None, float | None] = models.FloatField(
        null=True, help_text="When its worker is taken for dead."
    )
    objects: ClassVar[models.Manager[OutboxRow]] = models.Manager()

    class Meta:
        """Indexes without conditions: MariaDB would warn about them at each check."""

        db_table = "stigg_guard_outbox"
        verbose_name = "measurement"
        verbose_name_plural = "measurements in the outbox"
        # Not `unique=True`: on PostgreSQL that brings a second index.
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], name="stigg_guard_outbox_key")
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "id"], name="stigg_guard_outbox_state"),
            models.Index(fields=["queue", "id"], name="stigg_guard_outbox_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.customer}"

    @classmethod
    def of(cls, row: NewRow, *, now: float) -> OutboxRow:
        """The row to insert for a measurement."""
        measurement = row.measurement
        lane = _lane(measurement)
        return cls(
            key=stored_key(measurement.key),
            state=row.state,
            lane=lane,
            queue=lane if row.state in WAITING else None,
            customer=_text(measurement.subject.customer_id, most=255),
            name=_text(measurement.name, most=255),
            # ASCII: no database or character set refuses or changes any of it.
            record=json.dumps(measurement.as_record(), separators=(",", ":")),
            doubtful=row.doubtful,
            is_held=row.is_held,
            period=row.period,
            on_ambiguous=row.on_ambiguous,
            attempts=row.attempts,
            error=None if row.error is None else error_text(row.error),
            created_at=now,
            changed_at=now,
            due_at=now,
        )

    @property
    def measurement(self) -> Measurement:
        """What was measured; raises `ValueError` for a record of a newer version."""
        return Measurement.from_record(json.loads(self.record))

    def as_row(self, *, was_in_flight: bool = False) -> Row:
        """The row as the contract has it; raises `ValueError` as `measurement` does."""
        return Row(
            id=str(self.pk),
            measurement=self.measurement,
            state=cast("State", self.state),
            doubtful=self.doubtful,
            is_held=self.is_held,
            period=self.period,
            on_ambiguous=cast("OnAmbiguous", self.on_ambiguous),
            attempts=self.attempts,
            error=self.error,
            created_at=self.created_at,
            changed_at=self.changed_at,
            due_at=self.due_at,
            was_in_flight=was_in_flight,
        )


class OutboxTally(models.Model):
    """How many delivered rows were deleted since the outbox was made: one row."""

    id: models.SmallIntegerField[int, int] = models.SmallIntegerField(primary_key=True)
    delivered: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    objects: ClassVar[models.Manager[OutboxTally]] = models.Manager()

    class Meta:
        """Nobody needs permissions for it."""

        db_table = "stigg_guard_outbox_tally"
        default_permissions = ()
        verbose_name = "tally of the outbox"
        verbose_name_plural = "tallies of the outbox"

    def __str__(self) -> str:
        return f"{self.delivered} delivered"


def stored_key(key: str) -> str:
    """A key as its column holds it: itself, or a digest of what is long or unusual.

    Databases disagree on whether letters of another case and trailing blanks differ.
    """
    if _PLAIN_KEY.fullmatch(key):
        return key
    return f"sha256 {hashlib.sha256(_bytes(key)).hexdigest()}"


def error_text(error: str) -> str:
    """An error as every database takes it."""
    return _text(error, most=10_000)


def numbers(ids: Iterable[str]) -> list[int]:
    """Those of the texts that can be ids."""
    found = [int(text) for text in ids if _ID.fullmatch(text)]
    return [number for number in found if number <= _LARGEST_ID]


def _lane(measurement: Measurement) -> str | None:
    lane = measurement.lane
    if lane is None:
        return None
    return hashlib.blake2b(_bytes(lane), digest_size=16).hexdigest()


def _text(text: str, *, most: int) -> str:
    """Text without what PostgreSQL refuses: zeros and halves of surrogate pairs."""
    whole = text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}")
    return whole.encode(errors="replace").decode()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
