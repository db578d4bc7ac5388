"""A project with an admin, laid over the one of the tests, in a database of its own."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.test import override_settings
from django.urls import path

from tests.metering.django.site import added, sqlite

ALIAS = "admin"
CONTRIB = "django.contrib"


class ToAdmin:
    """A router that leads everything to one database."""

    def db_for_read(self, model: type[object], **hints: object) -> str:
        return ALIAS

    def db_for_write(self, model: type[object], **hints: object) -> str:
        return ALIAS


def options() -> dict[str, Any]:
    """The settings that an admin needs."""
    processors = ("template.context_processors.request",)
    contrib = ("auth.context_processors.auth", "messages.context_processors.messages")
    middleware = ("sessions", "auth", "messages")
    names = {"sessions": "Session", "auth": "Authentication", "messages": "Message"}
    return {
        "INSTALLED_APPS": [
            *(f"{CONTRIB}.{name}" for name in ("admin", "sessions", "messages")),
            *settings.INSTALLED_APPS,
        ],
        "MIDDLEWARE": [
            f"{CONTRIB}.{app}.middleware.{names[app]}Middleware" for app in middleware
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        *(f"django.{name}" for name in processors),
                        *(f"{CONTRIB}.{name}" for name in contrib),
                    ]
                },
            }
        ],
        "DATABASE_ROUTERS": [ToAdmin()],
        "STATIC_URL": "/static/",
    }


@contextmanager
def admin_project(folder: Path) -> Generator[None]:
    """The project, with its admin at /admin/ and its tables migrated."""
    with added(ALIAS, sqlite(folder)), override_settings(**options()):
        admin: Any = import_module(f"{CONTRIB}.admin")

        class Urls:
            urlpatterns: ClassVar[list[Any]] = [path("admin/", admin.site.urls)]

        ContentType.objects.clear_cache()
        call_command("migrate", database=ALIAS, verbosity=0)
        with override_settings(ROOT_URLCONF=Urls):
            yield
        ContentType.objects.clear_cache()
