"""The Django project that the tests run in: configured once per process.

Tests lay their own `STIGG_GUARD`, routes and middleware over it for as long as they run.
"""

from __future__ import annotations

import django
from django.conf import settings

GUARD = "stigg_guard_django.StiggGuardMiddleware"


def configure() -> None:
    """Set Django up, unless a test before this one did."""
    if settings.configured:
        return
    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "stigg_guard_django",
        ],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", GUARD],
        SECRET_KEY="only for tests",
        STIGG_GUARD={},
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"page.html": "{{ page.words }}"},
                        )
                    ]
                },
            }
        ],
    )
    django.setup()
