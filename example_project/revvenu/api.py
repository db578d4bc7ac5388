"""The JSON API, in Django REST framework; a client names its customer in `X-Customer`.

Templates say themselves what they need, reports in a rule of `settings`; how the header
becomes a customer is in `billing`.
"""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import mixins, serializers, viewsets
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from example_project.revvenu.billing import customer_of
from example_project.revvenu.models import Campaign, Template, User
from example_project.revvenu.plans import TEMPLATES
from stigg_guard_django.drf import GuardedViewSetMixin, meters


def _user(request: Request) -> User:
    return get_object_or_404(User, customer_id=customer_of(request))


class AnyJSON(JSONParser):
    """Reads JSON whatever it is called: `curl -d` calls it a form."""

    media_type = "*/*"


class ReportSerializer(serializers.ModelSerializer[Campaign]):
    """How a campaign was received."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The columns of a report."""

        model = Campaign
        fields = ("subject", "sent", "recipients", "opened", "clicked")


class TemplateSerializer(serializers.ModelSerializer[Template]):
    """A template as clients know it."""

    class Meta:  # pyright: ignore[reportIncompatibleVariableOverride]
        """What they may say is its name."""

        model = Template
        fields = ("id", "name")


class Reports(viewsets.ViewSet):
    """How every campaign was received."""

    def list(self, request: Request) -> Response:
        """All of them, the newest first."""
        found = Campaign.objects.filter(owner=_user(request))
        reports: Any = ReportSerializer(found, many=True)
        return Response({"campaigns": reports.data})


class Templates(
    GuardedViewSetMixin,
    mixins.CreateModelMixin,
    viewsets.GenericViewSet[Template],
):
    """Templates, each of which takes a unit of the plan's limit."""

    stigg_requirements = {"create": meters(TEMPLATES)}
    parser_classes = (AnyJSON,)
    serializer_class = TemplateSerializer

    def perform_create(self, serializer: Any) -> None:
        """It belongs to whom the header names."""
        serializer.save(owner=_user(self.request))


router = SimpleRouter()
router.register("reports", Reports, basename="report")
router.register("templates", Templates, basename="template")
