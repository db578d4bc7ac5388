"""The application's name for Django."""

from __future__ import annotations

from django.apps import AppConfig


class RevvenuConfig(AppConfig):
    """Revvenu."""

    name = "example_project.revvenu"
    label = "revvenu"
    default_auto_field = "django.db.models.BigAutoField"
