"""The three demo customers, with what they begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from django.apps.registry import Apps
from django.contrib.auth.hashers import make_password
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation

from example_project.revvenu.demo import CUSTOMERS, fill, rows_of


def create(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """Nobody has a password: the login page is a choice."""
    for customer in CUSTOMERS:
        user = rows_of(apps, "User").create(
            customer_id=customer.id,
            company=customer.company,
            story=customer.story,
            subscribers=customer.subscribers,
            password=make_password(None),
        )
        fill(apps, user, customer)


class Migration(migrations.Migration):
    """After the tables."""

    dependencies: ClassVar[Sequence[tuple[str, str]]] = [("revvenu", "0001_initial")]
    operations: ClassVar[Sequence[Operation]] = [
        migrations.RunPython(create, migrations.RunPython.noop)
    ]
