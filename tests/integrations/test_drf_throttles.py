"""Throttles that meter: a request takes units, and is denied as by a decorator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError
from stigg_guard_django.drf import MeteringThrottle, meters
from tests.behaviour.routes import AT_LIMIT, CAMPAIGNS, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.drf_site import Tokens, api, client


class Busy(BaseThrottle):
    """Turns everybody away."""

    def allow_request(self, request: Request, view: Any) -> bool:
        return False

    def wait(self) -> float:
        return 60


def view_with(*throttles: Any) -> Any:
    """A view behind throttles; its POST does what its body says."""

    class View(APIView):
        authentication_classes = (Tokens,)
        throttle_classes = throttles

        def post(self, request: Any) -> Response:
            return Response(status=int(request.data.get("status", 201)))

        def get(self, request: Request) -> Response:
            return Response("done")

    return View.as_view()


def test_units_are_taken_by_each_success(sidecar: LocalSidecar) -> None:
    with api({"": view_with(meters(TEMPLATES))}, target=sidecar.target):
        browser = client(WITHIN)
        assert browser.post("/").status_code == 201
        assert browser.post("/", {"status": 400}).status_code == 400
        assert browser.head("/").status_code == 200
        assert browser.options("/").json()["name"] == "View"
    assert used(sidecar, WITHIN) == 4


def test_customer_without_units_is_denied_with_402(sidecar: LocalSidecar) -> None:
    with api({"": view_with(meters(TEMPLATES))}, target=sidecar.target):
        response = client(AT_LIMIT).post("/")
    assert response.status_code == 402
    assert response.json()["reason"] == "REQUESTED_USAGE_EXCEEDING_LIMIT"


def test_customer_without_units_is_throttled_when_told_to(
    sidecar: LocalSidecar,
) -> None:
    throttle = meters(CAMPAIGNS, value=10_000, on_denied=429)
    with api({"": view_with(throttle)}, target=sidecar.target):
        response = client(AT_LIMIT).post("/")
    assert response.status_code == 429
    assert "throttled" in response.json()["detail"]
    month = timedelta(days=31).total_seconds()
    assert 0 < int(response.headers["Retry-After"]) <= month


def test_nobody_says_when_usage_that_never_resets_begins_anew(
    sidecar: LocalSidecar,
) -> None:
    throttle = meters(TEMPLATES, on_denied=429)
    with api({"": view_with(throttle)}, target=sidecar.target):
        response = client(AT_LIMIT).post("/")
    assert response.status_code == 429
    assert "Retry-After" not in response.headers


def test_units_are_given_back_when_another_throttle_refuses(
    sidecar: LocalSidecar,
) -> None:
    with api({"": view_with(meters(TEMPLATES, value=3), Busy)}, target=sidecar.target):
        assert client(WITHIN).post("/").status_code == 429
    assert used(sidecar, WITHIN) == 3


def test_throttle_without_the_middleware_says_what_is_missing(
    sidecar: LocalSidecar,
) -> None:
    headers = {"authorization": f"Token {WITHIN}"}
    request = APIRequestFactory().post("/", headers=headers)
    with (
        api({}, target=sidecar.target),
        pytest.raises(ConfigurationError, match="StiggGuardMiddleware"),
    ):
        view_with(meters(TEMPLATES))(request)


def test_throttle_as_it_is_says_how_to_write_it() -> None:
    with pytest.raises(ConfigurationError, match=r"meters\(\"feature-id\"\)"):
        MeteringThrottle()
