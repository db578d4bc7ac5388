"""The application of the rounds: one metered view in Django, set up by the environment.

`CRASH_GUARD` holds the guard's settings as JSON, `CRASH_FOLDER` where the view writes
down every request that it finished, before anything is reported.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

FOLDER = Path(os.environ["CRASH_FOLDER"])
GUARD: dict[str, Any] = json.loads(os.environ["CRASH_GUARD"])


def customer_of(request: HttpRequest) -> str:
    customer: str = request.META["HTTP_X_CUSTOMER"]
    return customer


settings.configure(
    SECRET_KEY="crash",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FOLDER / "django.db",
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=wal; PRAGMA synchronous=full",
            },
        }
    },
    INSTALLED_APPS=["stigg_guard_django"],
    MIDDLEWARE=["stigg_guard_django.StiggGuardMiddleware"],
    STIGG_GUARD={"CUSTOMER": customer_of, **GUARD},
    LOGGING={
        "version": 1,
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": FOLDER / "app.log"}
        },
        "loggers": {"stigg_guard": {"handlers": ["file"], "level": "INFO"}},
    },
)
django.setup()

from stigg_guard_django import meters_usage  # noqa: E402  # needs the settings


def request_of(request: HttpRequest) -> dict[str, str]:
    return {"request": request.META["HTTP_X_REQUEST"]}


_FINISHED = os.open(FOLDER / "finished", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


@meters_usage("feature-1", dimensions=request_of)
def use(request: HttpRequest) -> HttpResponse:
    time.sleep(random.uniform(0, 0.2))
    line = f"{request.META['HTTP_X_CUSTOMER']} {request.META['HTTP_X_REQUEST']}\n"
    os.write(_FINISHED, line.encode())
    return HttpResponse("used")


urlpatterns = [path("use", use)]
application = get_wsgi_application()
