"""Functions of a Django project that are no views: commands, jobs, helpers."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from io import StringIO
from typing import Any

import pytest
from django.core.management import BaseCommand, call_command

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Subject, current_subject, subject
from tests.integrations.django_site import configure, project

configure()

from stigg_guard_django import guard, guard_from  # noqa: E402

TEMPLATES = "feature-01-templates"
ANALYTICS = "feature-04-analytics"

CUSTOMER = Subject("customer-demo-01")


def the_customer(customer: str) -> str:
    return customer


def the_count(count: int) -> int:
    return count


class Command(BaseCommand):
    """Creates templates for a customer that is named on the command line."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("customer")
        parser.add_argument("--count", type=int, default=1)

    @guard.meters_usage(TEMPLATES, value=the_count, customer=the_customer)
    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"created {options['count']}")


def used() -> float | None:
    return guard_from().entitlements(CUSTOMER)[TEMPLATES].current_usage


def test_command_is_metered_for_the_customer_it_is_told(sidecar: LocalSidecar) -> None:
    with project(target=sidecar.target):
        out = StringIO()
        call_command(Command(stdout=out), "customer-demo-01", "--count=2")
        assert out.getvalue() == "created 2\n"
        assert used() == 5
        with pytest.raises(AccessDenied):
            call_command(Command(stdout=out), "customer-demo-01", "--count=2")
        assert out.getvalue() == "created 2\n"


def test_command_for_many_customers_binds_each(sidecar: LocalSidecar) -> None:
    done: list[Subject | None] = []

    @guard.requires_feature(ANALYTICS)
    def report() -> None:
        done.append(current_subject())

    def report_all() -> list[str]:
        denied: list[str] = []
        for customer in ("customer-demo-01", "customer-demo-02", "customer-demo-04"):
            try:
                with subject(customer):
                    report()
            except AccessDenied:
                denied.append(customer)
        return denied

    with project(target=sidecar.target):
        assert report_all() == ["customer-demo-02"]
    assert done == [CUSTOMER, Subject("customer-demo-04")]


async def test_async_function_asks_without_blocking(sidecar: LocalSidecar) -> None:
    @guard.meters_usage(TEMPLATES)
    async def create() -> str:
        return "created"

    with project(target=sidecar.target), subject(CUSTOMER):
        assert await create() == "created"
        assert used() == 4
        await guard_from().aio.aclose()


def test_settings_are_read_when_the_function_is_called() -> None:
    """So a module of jobs may be imported before Django is set up."""
    program = (
        "from stigg_guard_django import guard\n"
        "@guard.requires_feature('feature-04-analytics')\n"
        "def report(): ...\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
