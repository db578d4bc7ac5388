"""What only a demo shows: a hundred requests at once, and the sidecar's switch.

What is shown lives in `standing`.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from example_project.revvenu import burst
from example_project.revvenu.billing import user_of
from example_project.revvenu.standing import standing
from example_project.switch import switch
from stigg_guard_django import guard_from


@never_cache
@require_GET
def look(request: HttpRequest) -> JsonResponse:
    """How it stands, for the page's script."""
    return _now(request)


@require_POST
def send_burst(request: HttpRequest) -> HttpResponse:
    """Send the form for a new template a hundred times, as the one who asks."""
    form = burst.Form(
        port=int(request.META["SERVER_PORT"]),
        path=reverse("create-template"),
        cookies="; ".join(f"{key}={value}" for key, value in request.COOKIES.items()),
        token=get_token(request),
    )
    burst.start(form, guard_from(request), user_of(request))
    return _back(request)


@require_POST
def turn_sidecar(request: HttpRequest) -> HttpResponse:
    """Stop the demo's own sidecar, or start it again."""
    found = switch()
    if found is not None:
        found.turn(on=request.POST.get("turn") == "on")
    return _back(request)


def _back(request: HttpRequest) -> HttpResponse:
    """What the script shows at once; without a script, the page."""
    if request.headers.get("Accept") == "application/json":
        return _now(request)
    return redirect(f"{reverse('templates')}#backstage")


def _now(request: HttpRequest) -> JsonResponse:
    return JsonResponse(standing(guard_from(request), user_of(request)))
