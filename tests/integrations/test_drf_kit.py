"""Tests of an API say what its customers are entitled to, without a sidecar."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from stigg_guard.testing import metered, override_entitlements
from stigg_guard_django.drf import meters_usage, requires
from tests.integrations.drf_site import Api, api, client


class Reports(Api):
    permission_classes = (requires("reports"),)

    def get(self, request: Request) -> Response:
        return Response("reports")

    @meters_usage("exports")
    def post(self, request: Request) -> Response:
        return Response(status=201)


def test_entitlements_of_a_test_hold_for_an_api() -> None:
    with api({"": Reports.as_view()}, target="127.0.0.1:1"):
        with override_entitlements({"reports": False}):
            assert client("anybody").get("/").status_code == 402
        exports = metered(limit=1, used=0)
        with override_entitlements({"reports": True, "exports": exports}):
            statuses = [client("anybody").post("/").status_code for _ in range(2)]
    assert statuses == [201, 402]
