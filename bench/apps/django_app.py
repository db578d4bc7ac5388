"""Django's hello view: `wsgi` with a synchronous one, `asgi` with an asynchronous one.

Settings, URLs and views of one application, in one file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from bench.apps.variant import IS_GUARDED, SETTINGS, TARGET, VARIANT, question
from bench.question import DEADLINE, FEATURE
from sidecar_client import Stigg, SyncStigg

IS_ASYNC = os.environ.get("BENCH_ASYNC") == "1"
NAME = "stigg_guard_django"

settings.configure(
    SECRET_KEY="for the bench",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="bench.apps.django_urls",
    INSTALLED_APPS=[NAME] if IS_GUARDED else [],
    MIDDLEWARE=[f"{NAME}.StiggGuardMiddleware"] if IS_GUARDED else [],
    STIGG_GUARD={
        "CUSTOMER": "bench.apps.variant.next_customer",
        **{name.upper(): value for name, value in SETTINGS.items()},
    },
)
django.setup(set_prefix=False)

address = TARGET or "127.0.0.1:1"
sync_client = SyncStigg(target=address, timeout=DEADLINE)
client = Stigg(target=address, timeout=DEADLINE)


def bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


async def async_bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def by_hand(request: HttpRequest) -> HttpResponse:
    if not sync_client.get_entitlement(question()).has_access:
        return HttpResponse("upgrade", status=402)
    return HttpResponse("hello")


async def async_by_hand(request: HttpRequest) -> HttpResponse:
    if not (await client.get_entitlement(question())).has_access:
        return HttpResponse("upgrade", status=402)
    return HttpResponse("hello")


def view() -> Callable[..., Any]:
    """The one view of this process."""
    plain: Callable[..., Any] = async_bare if IS_ASYNC else bare
    if IS_GUARDED:
        from stigg_guard_django import requires_feature

        return requires_feature(FEATURE)(plain)
    asking: Callable[..., Any] = async_by_hand if IS_ASYNC else by_hand
    return {"bare": plain, "by hand": asking}[VARIANT]


def _application() -> object:
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application

    return get_asgi_application() if IS_ASYNC else get_wsgi_application()


app = _application()
