"""The Django project that the tests run in: configured once per process.

Tests lay their own `STIGG_GUARD`, routes and middleware over it while they run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, ClassVar

import django
from django.conf import settings
from django.http import HttpRequest
from django.test import override_settings
from django.urls import path

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


Views = Mapping[str, Callable[..., Any]]


@contextmanager
def project(
    views: Views | None = None, *, middleware: Iterable[str] = (GUARD,), **guard: object
) -> Generator[None, None, None]:
    """A project with these views by path, this middleware and these guard settings."""

    class Urls:
        urlpatterns: ClassVar = [path(p, view) for p, view in (views or {}).items()]

    options = {"timeout": 5, "write_timeout": 5, "customer": customer_of, **guard}
    with override_settings(
        MIDDLEWARE=[*middleware],
        ROOT_URLCONF=Urls,
        STIGG_GUARD={name.upper(): value for name, value in options.items()},
    ):
        yield


def customer_of(request: HttpRequest) -> str | None:
    """The customer that the tests name in a header."""
    return request.META.get("HTTP_X_CUSTOMER")


def installed(package: str, **modules: Mapping[str, object]) -> ModuleType:
    """A package with these modules, as if a reader had written its files."""
    parent = sys.modules[package] = ModuleType(package)
    for name, contents in modules.items():
        module = sys.modules[f"{package}.{name}"] = ModuleType(f"{package}.{name}")
        vars(module).update(contents)
        setattr(parent, name, module)
    return parent
