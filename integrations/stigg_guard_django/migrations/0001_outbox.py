"""The outbox: its rows, and the tally of those that were delivered.

What the rows mean lives in `models`.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """The first one."""

    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="OutboxTally",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("delivered", models.BigIntegerField(default=0)),
            ],
            options={
                "verbose_name": "tally of the outbox",
                "verbose_name_plural": "tallies of the outbox",
                "db_table": "stigg_guard_outbox_tally",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="OutboxRow",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "key",
                    models.CharField(
                        help_text="What has the same key is the same usage.",
                        max_length=71,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("in_flight", "In flight"),
                            ("delivered", "Delivered"),
                            ("parked", "Parked"),
                        ],
                        help_text="Parked rows wait for a person.",
                        max_length=9,
                    ),
                ),
                (
                    "lane",
                    models.CharField(
                        help_text="Rows of a lane are sent in their order.",
                        max_length=32,
                        null=True,
                    ),
                ),
                (
                    "queue",
                    models.CharField(
                        help_text="The lane while the row holds up later ones.",
                        max_length=32,
                        null=True,
                    ),
                ),
                ("customer", models.CharField(max_length=255)),
                (
                    "name",
                    models.CharField(max_length=255, verbose_name="feature or event"),
                ),
                (
                    "record",
                    models.TextField(help_text="All of the measurement, as JSON."),
                ),
                (
                    "doubtful",
                    models.BooleanField(
                        help_text="It was sent, and nobody knows whether it arrived."
                    ),
                ),
                (
                    "is_held",
                    models.BooleanField(
                        help_text="Its units are held until it is acknowledged.",
                        verbose_name="held",
                    ),
                ),
                (
                    "period",
                    models.FloatField(
                        help_text="Start of the period its units are held in.",
                        null=True,
                        verbose_name="usage period",
                    ),
                ),
                (
                    "on_ambiguous",
                    models.CharField(
                        choices=[("reconcile", "Reconcile"), ("park", "Park")],
                        max_length=9,
                        verbose_name="when in doubt",
                    ),
                ),
                ("attempts", models.PositiveIntegerField()),
                ("error", models.TextField(null=True, verbose_name="last error")),
                ("created_at", models.FloatField(verbose_name="stored")),
                ("changed_at", models.FloatField(verbose_name="changed")),
                ("due_at", models.FloatField(verbose_name="due")),
                (
                    "worker",
                    models.CharField(
                        blank=True, help_text="Who is sending it.", max_length=255
                    ),
                ),
                (
                    "lease_until",
                    models.FloatField(
                        help_text="When its worker is taken for dead.", null=True
                    ),
                ),
            ],
            options={
                "verbose_name": "measurement",
                "verbose_name_plural": "measurements in the outbox",
                "db_table": "stigg_guard_outbox",
                "indexes": [
                    models.Index(
                        fields=["state", "id"], name="stigg_guard_outbox_state"
                    ),
                    models.Index(
                        fields=["queue", "id"], name="stigg_guard_outbox_queue"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("key",), name="stigg_guard_outbox_key"
                    )
                ],
            },
        ),
    ]
