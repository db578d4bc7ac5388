"""Where a guard of functions may stand: jobs, resolvers, commands, methods."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import click
import pytest
import strawberry
from celery import Celery
from click.testing import CliRunner

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, Guard, Subject, subject
from tests.wiring.rows import wiring

TEMPLATES = "feature-01-templates"
CUSTOMER = "customer-demo-01"

app = Celery("wiring", set_as_current=False, broker="memory://")
app.conf.task_always_eager = True


@contextmanager
def running() -> Generator[Guard]:
    """A guard of the demo catalog, for a customer that has used 3 of 6 templates."""
    with LocalSidecar() as sidecar, subject(CUSTOMER):
        guard = Guard(target=sidecar.target, timeout=5, write_timeout=5)
        yield guard
        guard.close()


def used(guard: Guard) -> float | None:
    return guard.entitlements(Subject(CUSTOMER))[TEMPLATES].current_usage


def refused(decorated: object) -> str:
    """What the guard says when it is put above this."""
    with pytest.raises(TypeError) as error:
        Guard.from_env({}).meters_usage(TEMPLATES)(decorated)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
    return str(error.value)


@wiring("Functions", "`@guard...` below `@app.task`", "metered where the task runs")
def test_below_a_celery_task() -> None:
    with running() as guard:

        @app.task
        @guard.meters_usage(TEMPLATES)
        def create() -> str:
            return "created"

        assert create.delay().get() == "created"
        assert used(guard) == 4


@wiring(
    "Functions",
    "`@guard...` above `@app.task`",
    "`TypeError` when it is imported: put it below",
    is_right=False,
)
def test_above_a_celery_task() -> None:
    @app.task
    def task() -> None: ...

    assert "put it below @app.task" in refused(task)


@wiring(
    "Functions",
    "`@guard...` below `@strawberry.field`",
    "a denial is a GraphQL error with `extensions`",
)
def test_below_a_strawberry_field() -> None:
    with running() as guard:

        @strawberry.type
        class Query:
            @strawberry.field
            @guard.requires_feature("feature-08-editors")
            def editors(self) -> int | None:
                return 5

        answer = strawberry.Schema(Query).execute_sync("{ editors }")
    assert answer.errors is not None
    assert (answer.errors[0].extensions or {})["status"] == 402


@wiring(
    "Functions",
    "`@guard...` above `@strawberry.field`",
    "`TypeError` when it is imported: put it below",
    is_right=False,
)
def test_above_a_strawberry_field() -> None:
    def editors() -> int:
        return 5

    assert "put it below @strawberry.field" in refused(strawberry.field(editors))


@wiring("Functions", "`@guard...` below `@click.command()`", "metered when it ran")
def test_below_a_click_command() -> None:
    with running() as guard:

        @click.command()
        @guard.meters_usage(TEMPLATES)
        def create() -> None: ...

        assert CliRunner().invoke(create).exit_code == 0
        assert used(guard) == 4


@wiring(
    "Functions",
    "`@guard...` above `@click.command()`",
    "`TypeError` when it is imported: put it below",
    is_right=False,
)
def test_above_a_click_command() -> None:
    assert "put it below @click.command" in refused(click.command()(lambda: None))


@wiring(
    "Functions",
    "`@guard...` above or below `@staticmethod` and `@classmethod`",
    "both work",
)
def test_with_static_and_class_methods() -> None:
    with running() as guard:

        class Job:
            @guard.meters_usage(TEMPLATES)
            @staticmethod
            def above() -> None: ...

            @classmethod
            @guard.meters_usage(TEMPLATES)
            def below(cls) -> None: ...

        Job.above()
        Job().below()
        assert used(guard) == 5


@wiring(
    "Functions",
    "`@subject(...)` above `@guard...`",
    "the subject is bound before the guard asks",
)
def test_subject_above() -> None:
    with running() as guard:

        @subject("customer-demo-04")
        @guard.requires_feature("feature-08-editors")
        def report() -> str:
            return "report"

        assert report() == "report"


@wiring(
    "Functions",
    "`@subject(...)` below `@guard...`",
    "`ConfigurationError` when it is called: the guard asks before",
    is_right=False,
)
def test_subject_below() -> None:
    @Guard.from_env({}).requires_feature(TEMPLATES)
    @subject(CUSTOMER)
    def report() -> None: ...

    with pytest.raises(ConfigurationError, match="nothing says for which customer"):
        report()


@wiring(
    "Functions",
    "`@guard...` on a class",
    "`TypeError` when it is imported: decorate its methods",
    is_right=False,
)
def test_on_a_class() -> None:
    assert "decorate its methods" in refused(dict)
