"""Guarded Celery tasks in a real worker, with retries, and with their subject."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery, Task, chain
from celery.contrib.testing.worker import start_worker

from sidecar_client.local import LocalSidecar
from stigg_guard import (
    AccessDenied,
    ConfigurationError,
    Guard,
    Reason,
    Subject,
    current_subject,
    subject,
)
from stigg_guard.function_decorators import FunctionDecorators
from stigg_guard_celery import propagate_subject

TEMPLATES = "feature-01-templates"
ANALYTICS = "feature-04-analytics"
EDITORS = "feature-08-editors"

CUSTOMER = Subject("customer-demo-01")

app = Celery(
    "tests", broker="memory://", backend="cache+memory://", set_as_current=False
)
app.conf.update(
    broker_transport_options={"polling_interval": 0.01},
    worker_enable_remote_control=False,
)


class Decorators(FunctionDecorators):
    """Those of the guard of the test that runs."""

    current: Guard

    def guard_for_call(self) -> Guard:
        return self.current


guard = Decorators()
attempts: list[Subject | None] = []


def customer_of(who: str) -> str:
    return who


def attempt(fails: int) -> None:
    """Fail so many times."""
    attempts.append(current_subject())
    if len(attempts) <= fails:
        raise OSError


@app.task
@guard.meters_usage(TEMPLATES, customer=customer_of)
def create(who: str) -> str:
    return who


@app.task(bind=True, max_retries=5, default_retry_delay=0)
@guard.meters_usage(TEMPLATES)
def create_by_retrying(self: Task[Any, Any], fails: int) -> int:
    try:
        attempt(fails)
    except OSError as error:
        raise self.retry(exc=error) from error
    return len(attempts)


@app.task(autoretry_for=(OSError,), default_retry_delay=0, max_retries=5)
@guard.meters_usage(TEMPLATES)
def create_by_autoretry(fails: int) -> int:
    attempt(fails)
    return len(attempts)


@app.task(
    autoretry_for=(Exception,),
    dont_autoretry_for=(AccessDenied,),
    default_retry_delay=0,
    max_retries=5,
)
@guard.requires_feature(EDITORS)
def edit() -> None:
    attempt(0)


@app.task
@guard.requires_feature(ANALYTICS)
def report(*_: object) -> list[str | None]:
    bound = current_subject()
    assert bound is not None
    return [bound.customer_id, bound.resource_id]


@app.task
def bound_customer() -> str | None:
    bound = current_subject()
    return None if bound is None else bound.customer_id


@app.task
def send_report() -> None:
    report.delay()


@app.task(ignore_result=True)
def nothing() -> None: ...


@contextmanager
def worker() -> Generator[None]:
    """A worker with its broker in memory; what wakes it lets it end at once."""
    ended = threading.Event()

    def wake() -> None:
        while not ended.wait(0.05):
            nothing.delay()

    waking = threading.Thread(target=wake)
    level = logging.root.level
    with start_worker(app, perform_ping_check=False, loglevel="CRITICAL"):
        yield
        waking.start()
    ended.set()
    waking.join()
    logging.root.setLevel(level)  # a worker takes it for its own


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    propagate_subject()
    with worker():
        yield


@pytest.fixture(autouse=True)
def sidecar() -> Iterator[LocalSidecar]:
    attempts.clear()
    with LocalSidecar() as sidecar:
        guard.current = Guard(target=sidecar.target, timeout=5, write_timeout=5)
        yield sidecar
        guard.current.close()


@pytest.fixture
def eager() -> Iterator[None]:
    """Tasks run where they are sent."""
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = False


def result_of(sent: Any) -> Any:
    return sent.get(timeout=10, interval=0.01)


def used() -> float | None:
    return guard.current.entitlements(CUSTOMER)[TEMPLATES].current_usage


def test_task_is_metered_where_it_runs(sidecar: LocalSidecar) -> None:
    assert result_of(create.delay("customer-demo-01")) == "customer-demo-01"
    assert sidecar.calls["ReportUsage"] == 1
    assert used() == 4


@pytest.mark.parametrize("task", [create_by_retrying, create_by_autoretry])
def test_task_that_is_retried_is_metered_once(
    sidecar: LocalSidecar, task: Task[Any, Any]
) -> None:
    with subject(CUSTOMER):
        assert result_of(task.delay(2)) == 3
    assert attempts == [CUSTOMER] * 3
    assert sidecar.calls["ReportUsage"] == 1
    assert used() == 4


@pytest.mark.parametrize("task", [create_by_retrying, create_by_autoretry])
def test_task_that_fails_in_the_end_uses_nothing(
    sidecar: LocalSidecar, task: Task[Any, Any]
) -> None:
    with subject(CUSTOMER), pytest.raises(OSError):
        result_of(task.delay(99))
    assert len(attempts) == 6
    assert sidecar.calls["ReportUsage"] == 0


def test_denied_task_fails_once_and_says_why() -> None:
    with subject(CUSTOMER), pytest.raises(AccessDenied) as denied:
        result_of(edit.delay())
    assert not attempts
    assert guard.current.counts["denied"] == 1
    decision = denied.value.decision
    assert decision.reason is Reason.NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION
    assert denied.value.extensions["status"] == 402
    assert denied.value.extensions["feature_id"] == EDITORS


def test_task_runs_for_whom_it_was_sent() -> None:
    with subject("customer-demo-01", "site-01"):
        sent = report.delay()
    assert result_of(sent) == ["customer-demo-01", "site-01"]


def test_task_sent_for_nobody_runs_for_nobody() -> None:
    with subject(CUSTOMER):
        assert result_of(bound_customer.delay()) == "customer-demo-01"
    assert result_of(bound_customer.delay()) is None
    with pytest.raises(ConfigurationError):
        result_of(report.delay())


def test_chain_keeps_the_subject() -> None:
    with subject(CUSTOMER):
        sent = chain(bound_customer.si(), report.s(), report.s())()
    assert result_of(sent) == ["customer-demo-01", None]


def test_eager_task_runs_for_its_caller(eager: None) -> None:
    with subject(CUSTOMER):
        assert report.delay().get() == ["customer-demo-01", None]
        assert create_by_retrying.delay(2).get() == 3
        assert current_subject() == CUSTOMER
    assert used() == 4


@pytest.mark.parametrize(
    "decorate", [guard.requires_feature(ANALYTICS), guard.meters_usage(TEMPLATES)]
)
def test_guard_above_a_task_is_refused(decorate: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=r"Celery task; put it below @app\.task"):
        decorate(create)
