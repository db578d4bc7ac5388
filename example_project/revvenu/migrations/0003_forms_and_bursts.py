"""Forms that make one template each, and bursts of requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.migrations.operations.base import Operation


class Migration(migrations.Migration):
    """A column and a table."""

    dependencies: ClassVar[Sequence[tuple[str, str]]] = [
        ("revvenu", "0002_demo_customers")
    ]

    operations: ClassVar[Sequence[Operation]] = [
        migrations.AddField(
            model_name="template",
            name="form_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddConstraint(
            model_name="template",
            constraint=models.UniqueConstraint(
                fields=("owner", "form_id"), name="once_by_form"
            ),
        ),
        migrations.CreateModel(
            name="Burst",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("started", models.DateTimeField(default=django.utils.timezone.now)),
                ("seconds", models.FloatField(null=True)),
                ("statuses", models.JSONField(default=dict)),
                ("counted", models.CharField(default="", max_length=80)),
                ("is_within", models.BooleanField(default=False)),
                (
                    "owner",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="burst",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
    ]
