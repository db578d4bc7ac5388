"""Functions of a Flask application that are no views: commands and jobs."""

from __future__ import annotations

import click
import pytest
from flask import Flask

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Subject, subject
from stigg_guard_flask import StiggGuard, guard, guard_from

TEMPLATES = "feature-01-templates"


@guard.meters_usage(TEMPLATES)
def create() -> str:
    return "created"


def the_customer(customer: str) -> str:
    return customer


def app_of(sidecar: LocalSidecar) -> Flask:
    app = Flask(__name__)
    app.config["STIGG_GUARD_TARGET"] = sidecar.target
    app.config["STIGG_GUARD_TIMEOUT"] = 5
    StiggGuard(app)
    return app


def used(app: Flask) -> float | None:
    found = guard_from(app).entitlements(Subject("customer-demo-01"))
    return found[TEMPLATES].current_usage


def test_function_asks_the_current_applications_guard(sidecar: LocalSidecar) -> None:
    first, second = app_of(sidecar), app_of(sidecar)
    with second.app_context(), subject("customer-demo-01"):
        assert create() == "created"
    assert used(first) == 4
    assert guard_from(first).counts.get("acknowledged", 0) == 0
    assert guard_from(second).counts["acknowledged"] == 1


def test_command_is_metered_for_the_customer_it_is_told(sidecar: LocalSidecar) -> None:
    app = app_of(sidecar)

    @app.cli.command("create")
    @click.argument("customer")
    @guard.meters_usage(TEMPLATES, customer=the_customer)
    def create_command(customer: str) -> None:
        click.echo(f"created for {customer}")

    done = app.test_cli_runner().invoke(args=["create", "customer-demo-01"])
    assert done.output == "created for customer-demo-01\n"
    assert used(app) == 4


def test_function_outside_of_an_application_says_what_to_do() -> None:
    with (
        subject("customer-demo-01"),
        pytest.raises(ConfigurationError, match="context"),
    ):
        create()


def test_guard_above_a_command_is_refused() -> None:
    @click.command()
    def command() -> None: ...

    with pytest.raises(TypeError, match=r"Click command; put it below @click\.command"):
        guard.meters_usage(TEMPLATES)(command)
