"""Revvenu's own tests, as its developers write them: without a sidecar or a server.

`python example_project/manage.py test example_project.revvenu` runs them in a second.
"""

from __future__ import annotations

from typing import Any

from django.test import TestCase

from example_project.revvenu.models import Template, User
from example_project.revvenu.plans import (
    ANALYTICS,
    CAMPAIGNS,
    CUSTOM_DOMAIN,
    EXPORTS,
    FILE_SIZE,
    TEMPLATES,
)
from stigg_guard import Decision
from stigg_guard.testing import (
    enum,
    metered,
    override_entitlements,
    recorded_usage,
    unavailable_sidecar,
)
from stigg_guard_django.signals import shadow_denied

CUSTOMER = "customer-demo-01"
ESSENTIALS: dict[str, Any] = {
    TEMPLATES: metered(limit=6, used=5),
    CAMPAIGNS: metered(limit=32),
    CUSTOM_DOMAIN: True,
    ANALYTICS: True,
    FILE_SIZE: 100,
    EXPORTS: enum("csv"),
}
BROWSER = {"Accept": "text/html"}


@override_entitlements(ESSENTIALS)
class PageTests(TestCase):
    """Pages of a customer who has everything, until a test says otherwise."""

    def setUp(self) -> None:
        self.client.force_login(User.objects.get(customer_id=CUSTOMER))

    def test_pages_of_the_plan_open(self) -> None:
        for path in ("/domain/", "/files/", "/analytics/", "/campaigns/export/"):
            self.assertEqual(self.client.get(path).status_code, 200, path)

    @override_entitlements({CUSTOM_DOMAIN: False})
    def test_page_that_the_plan_lacks_leads_to_the_plans(self) -> None:
        denied = self.client.get("/domain/", headers=BROWSER)
        self.assertContains(denied, "is not part of your plan", status_code=402)
        self.assertContains(
            denied, "include a domain of your own", status_code=402
        )  # MESSAGE
        link = f'href="/plans/?feature={CUSTOM_DOMAIN}"'
        self.assertContains(denied, link, status_code=402)

    def test_numeric_feature_is_compared(self) -> None:
        with override_entitlements({FILE_SIZE: 25}):
            self.assertEqual(self.client.get("/files/").status_code, 200)
        with override_entitlements({FILE_SIZE: 10}):
            denied = self.client.get("/files/", headers=BROWSER)
        self.assertContains(denied, "your plan takes 10 MB", status_code=402)

    def test_navigation_locks_what_the_plan_lacks(self) -> None:
        lock = 'aria-label="locked"'
        self.assertNotContains(self.client.get("/campaigns/"), lock)
        with override_entitlements({ANALYTICS: False, FILE_SIZE: 10}):
            page = self.client.get("/campaigns/")
        self.assertContains(page, lock, count=2)
        self.assertContains(page, "Get analytics")

    def test_template_takes_a_unit_until_none_is_left(self) -> None:
        self.assertContains(self.client.get("/templates/"), "room for 1 more")
        with recorded_usage() as recorded:
            created = self.client.post("/templates/create/", {"name": "Spring sale"})
            denied = self.client.post("/templates/create/", {"name": "Summer sale"})
        self.assertEqual((created.status_code, denied.status_code), (302, 402))
        recorded.assert_reported(TEMPLATES, value=1, customer=CUSTOMER, times=1)
        self.assertFalse(Template.objects.filter(name="Summer sale").exists())
        self.assertContains(self.client.get("/templates/"), "no room for another")

    def test_form_with_an_error_takes_nothing(self) -> None:
        with recorded_usage() as recorded:
            self.client.post("/templates/create/", {"name": ""})
            self.client.post("/campaigns/", {"subject": ""})
        recorded.assert_nothing_reported()

    def test_campaign_is_counted(self) -> None:
        with recorded_usage() as recorded:
            self.client.get("/campaigns/")
            self.client.post("/campaigns/", {"subject": "Hello"})
        recorded.assert_reported(CAMPAIGNS, value=1, customer=CUSTOMER, times=1)

    def test_deleted_template_gives_its_unit_back(self) -> None:
        template = Template.objects.filter(owner__customer_id=CUSTOMER).first()
        assert template is not None
        with recorded_usage() as recorded:
            self.client.post(f"/templates/{template.pk}/delete/")
        recorded.assert_reported(TEMPLATES, value=-1, customer=CUSTOMER)

    def test_export_is_watched_before_it_is_guarded(self) -> None:
        seen: list[Decision] = []

        def watch(decision: Decision, **_: Any) -> None:
            seen.append(decision)

        shadow_denied.connect(watch)
        self.addCleanup(shadow_denied.disconnect, watch)
        with override_entitlements({EXPORTS: False}):
            response = self.client.get("/campaigns/export/")
        self.assertContains(response, "The autumn catalogue is here")
        self.assertEqual([decision.is_shadow for decision in seen], [True])

    def test_people_keep_working_while_the_sidecar_is_away(self) -> None:
        with unavailable_sidecar():
            self.assertContains(self.client.get("/"), "details are not available")
            self.assertEqual(self.client.get("/domain/").status_code, 200)
            uploads = self.client.get("/files/", headers=BROWSER)
        self.assertContains(uploads, "We cannot check your plan", status_code=503)


@override_entitlements(ESSENTIALS)
class APITests(TestCase):
    """The JSON API, whose clients name their customer in a header."""

    def create(self, body: object, customer: str | None = CUSTOMER) -> Any:
        headers = {} if customer is None else {"X-Customer": customer}
        return self.client.post(
            "/api/templates/", body, "application/json", headers=headers
        )

    def test_template_is_made_and_counted(self) -> None:
        with recorded_usage() as recorded:
            made = self.create({"name": "Spring sale"})
        self.assertEqual((made.status_code, made.json()["name"]), (201, "Spring sale"))
        recorded.assert_reported(TEMPLATES, value=1, customer=CUSTOMER, times=1)

    def test_denial_is_a_problem_document(self) -> None:
        with override_entitlements({TEMPLATES: metered(limit=6, used=6)}):
            denied = self.create({"name": "Spring sale"})
        self.assertEqual(denied.status_code, 402)
        self.assertEqual(denied["Content-Type"], "application/problem+json")
        self.assertEqual(denied.json()["usage_limit"], 6)

    def test_body_that_is_refused_takes_nothing(self) -> None:
        with recorded_usage() as recorded:
            for body in ({}, {"name": ""}, ["no", "object"]):
                self.assertEqual(self.create(body).status_code, 400, body)
        recorded.assert_nothing_reported()

    def test_client_without_a_customer_is_nobody(self) -> None:
        self.assertEqual(self.create({"name": "Mine"}, None).status_code, 401)

    def test_reports_are_guarded_by_the_name_of_their_route(self) -> None:
        headers = {"X-Customer": CUSTOMER}
        found = self.client.get("/api/reports/", headers=headers)
        self.assertEqual(len(found.json()["campaigns"]), 4)
        with override_entitlements({ANALYTICS: False}):
            denied = self.client.get("/api/reports/", headers=headers)
        self.assertEqual(denied.status_code, 402)
