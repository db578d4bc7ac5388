"""Tests as a Django project writes them; `test_django` runs them with Django's runner.

What is wrong on purpose is in `Failing`, which is run on its own.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from typing import Any, ClassVar

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import (
    LiveServerTestCase,
    SimpleTestCase,
    TestCase,
    override_settings,
    tag,
)
from django.test.runner import DiscoverRunner
from django.urls import path

from stigg_guard import Subject
from stigg_guard.testing import (
    metered,
    override_entitlements,
    recorded_usage,
    unavailable_sidecar,
)
from tests.integrations.django_site import configure

configure()

from stigg_guard_django import (  # noqa: E402  # needs the settings
    guard_from,
    meters_usage,
    requires_feature,
)


@requires_feature("domain")
def domain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("yours")


@meters_usage("templates")
def create(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=201)


@requires_feature("domain")
async def adomain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("yours")


@meters_usage("templates")
async def acreate(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=201)


class Urls:
    urlpatterns: ClassVar = [
        path("domain", domain),
        path("templates", create),
        path("adomain", adomain),
        path("atemplates", acreate),
    ]


def customer_of(request: HttpRequest) -> str:
    return "alice"


nowhere: Any = override_settings(
    ROOT_URLCONF=Urls,
    ALLOWED_HOSTS=["*"],
    STATIC_URL="/static/",
    MEDIA_URL="/media/",
    STIGG_GUARD={
        "TARGET": "127.0.0.1:1",
        "TIMEOUT": 0.2,
        "ON_UNAVAILABLE": "deny",
        "CUSTOMER": customer_of,
    },
)


@nowhere
@override_entitlements({"domain": True, "templates": metered(limit=6, used=3)})
class OverriddenClass(TestCase):
    user: ClassVar[Any]

    @classmethod
    def setUpTestData(cls) -> None:
        assert guard_from().check(Subject("alice"), "domain")
        cls.user = get_user_model().objects.create(username="alice")

    def test_first(self) -> None:
        self.use_up()

    def test_second_begins_anew(self) -> None:
        self.use_up()
        self.assertEqual(self.user.get_username(), "alice")

    def use_up(self) -> None:
        found = [self.client.post("/templates").status_code for _ in range(4)]
        self.assertEqual(found, [201, 201, 201, 402])

    @override_entitlements({"domain": False})
    def test_method_has_its_own(self) -> None:
        self.assertEqual(self.client.get("/domain").status_code, 402)
        self.assertEqual(self.client.post("/templates").status_code, 201)

    async def test_async_client(self) -> None:
        response = await self.async_client.get("/adomain")
        self.assertEqual(response.status_code, 200)
        with override_entitlements({"domain": False}):
            response = await self.async_client.get("/domain")
            self.assertEqual(response.status_code, 402)

    def test_async_view_under_the_sync_client(self) -> None:
        self.assertEqual(self.client.get("/adomain").status_code, 200)
        with recorded_usage() as recorded:
            self.assertEqual(self.client.post("/atemplates").status_code, 201)
        recorded.assert_reported("templates", value=1, customer="alice")

    async def test_sync_view_under_the_async_client(self) -> None:
        with recorded_usage() as recorded:
            response = await self.async_client.post("/templates")
            self.assertEqual(response.status_code, 201)
        recorded.assert_reported("templates", value=1, customer="alice")


class OverriddenSubclass(OverriddenClass):
    def setUp(self) -> None:
        """Says nothing to its parent, and is overridden all the same."""


@nowhere
class Simple(SimpleTestCase):
    @override_entitlements({"domain": True})
    def test_decorated(self) -> None:
        self.assertEqual(self.client.get("/domain").status_code, 200)

    @override_entitlements({"domain": True})
    async def test_decorated_async(self) -> None:
        response = await self.async_client.get("/adomain")
        self.assertEqual(response.status_code, 200)

    def test_outage(self) -> None:
        with override_entitlements({"domain": True}), unavailable_sidecar():
            self.assertEqual(self.client.get("/domain").status_code, 503)

    def test_entered_for_the_test(self) -> None:
        self.enterContext(override_entitlements({"domain": True}))
        self.assertEqual(self.client.get("/domain").status_code, 200)

    def test_guard_made_anew_by_changed_settings_is_overridden(self) -> None:
        with override_entitlements({"domain": True}):
            with override_settings(STIGG_GUARD={"CUSTOMER": customer_of}):
                self.assertEqual(self.client.get("/domain").status_code, 200)


@nowhere
@override_entitlements({"domain": True})
class Live(LiveServerTestCase):
    def get(self) -> int:
        with urllib.request.urlopen(f"{self.live_server_url}/domain") as response:
            return int(response.status)

    def test_server_in_a_thread(self) -> None:
        self.assertEqual(self.get(), 200)

    def test_block_reaches_the_server(self) -> None:
        with override_entitlements({"domain": False}):
            with self.assertRaises(urllib.error.HTTPError) as denied:
                self.get()
            self.assertEqual(denied.exception.code, 402)
            denied.exception.close()


@nowhere
@tag("failing")
class Failing(SimpleTestCase):
    @override_entitlements({"domian": True})
    def test_unknown_feature(self) -> None:
        self.client.raise_request_exception = False
        self.assertEqual(self.client.get("/domain").status_code, 500)


if __name__ == "__main__":
    chosen = "tags" if "failing" in sys.argv else "exclude_tags"
    options: dict[str, Any] = {chosen: ["failing"]}
    runner = DiscoverRunner(**options)
    sys.exit(runner.run_tests(["tests.testing.suites.django_cases"]))
