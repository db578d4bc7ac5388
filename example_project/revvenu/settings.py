"""Django's settings, and at the end those of the guard.

Everything is made for a demo on this machine: the key is public, hosts are loopback.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from example_project.places import outbox, webhook_secret
from example_project.revvenu.plans import (
    ANALYTICS,
    CUSTOM_DOMAIN,
    EXPORTS,
    FILE_SIZE,
    LARGEST_UPLOAD_MB,
)

_HERE = Path(__file__).resolve().parent

SECRET_KEY = "revvenu-demo-on-loopback-only-never-deploy-this-key"
DEBUG = os.environ.get("REVVENU_DEBUG") == "1"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    # Before the guard: its own page for a denial, stigg_guard/402.html, is found first.
    "example_project.revvenu",
    "stigg_guard_django",
    "rest_framework",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "stigg_guard_django.StiggGuardMiddleware",
]
ROOT_URLCONF = "example_project.revvenu.urls"
WSGI_APPLICATION = "example_project.revvenu.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_project.revvenu.navigation.nav",
            ],
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("REVVENU_DATABASE", _HERE.parent / "db.sqlite3"),
        # Several workers write: wait for each other instead of failing.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10},
    }
}
AUTH_USER_MODEL = "revvenu.User"
LOGIN_URL = "login"
STATIC_URL = "/static/"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],  # a header names the customer, nobody logs in
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "EXCEPTION_HANDLER": "stigg_guard_django.drf.exception_handler",
}

STIGG_GUARD: dict[str, Any] = {
    # "local" starts a local sidecar as a child process; a real one is host:port.
    "TARGET": os.environ.get("REVVENU_SIDECAR", "local"),
    "LOCAL_PORT": int(os.environ.get("REVVENU_SIDECAR_PORT", "8443")),
    "CUSTOMER": "example_project.revvenu.billing.customer_of",
    "UPGRADE_URL": "/plans/",
    "NO_CUSTOMER": "unauthorized",
    # Whoever knows it may tell us that a customer's plan has changed; see urls.
    "WEBHOOK_SECRET": webhook_secret(),
    # Usage that is not acknowledged waits here, and is reported later.
    "OUTBOX": outbox("django"),
    # One process counts what is in flight by itself; several share a Redis.
    "HOLDS": os.environ.get("REVVENU_HOLDS", "memory"),
    # The local sidecar answers with all it was told; a real one lags a little more.
    "USAGE_SEEN_WITHIN": 5,
    # When the sidecar is away, people keep working; only uploads wait for it.
    "ON_UNAVAILABLE": "allow",
    "FEATURES": {
        FILE_SIZE: {
            "ON_UNAVAILABLE": "deny",
            "MESSAGE": f"Files here may have up to {LARGEST_UPLOAD_MB} MB.",
        },
        CUSTOM_DOMAIN: {
            "MESSAGE": "Essentials and Scale include a domain of your own.",
        },
        # Exports were everybody's so far. Until we know whom a guard would lock out,
        # it is in shadow mode: it decides, counts and logs, and lets everybody through.
        EXPORTS: {"SHADOW": True},
    },
    # By the name of its route: reports may move to another path.
    "RULES": [{"name": "api:report-list", "feature": ANALYTICS}],
}
