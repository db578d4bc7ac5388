"""The JSON API. What its paths need is said by the rules in `settings`.

A client names its customer in the header `X-Customer`; see `billing`.
"""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from example_project.revvenu.billing import customer_of
from example_project.revvenu.forms import TemplateForm
from example_project.revvenu.models import Campaign, Template, User


def _user(request: HttpRequest) -> User:
    return get_object_or_404(User, customer_id=customer_of(request))


def _object_of(request: HttpRequest) -> dict[str, Any] | None:
    try:
        body = json.loads(request.body)
    except ValueError:
        return None
    return cast("dict[str, Any]", body) if isinstance(body, dict) else None


@login_not_required
@require_GET
def reports(request: HttpRequest) -> JsonResponse:
    """How every campaign was received."""
    found = Campaign.objects.filter(owner=_user(request))
    rows = found.values("subject", "sent", "recipients", "opened", "clicked")
    return JsonResponse({"campaigns": list(rows)})


@csrf_exempt  # no cookie speaks for the client here
@login_not_required
@require_POST
def create_template(request: HttpRequest) -> JsonResponse:
    """A new template from `{"name": ...}`."""
    body = _object_of(request)
    if body is None:
        return JsonResponse({"errors": {"body": ["Send a JSON object."]}}, status=400)
    form = TemplateForm(body)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=400)
    name = form.cleaned_data["name"]
    template = Template.objects.create(owner=_user(request), name=name)
    return JsonResponse({"id": template.pk, "name": template.name}, status=201)
