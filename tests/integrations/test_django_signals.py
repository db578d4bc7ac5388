"""The signals of a Django project: denials and usage, told to sync and async code."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Decision, Measurement, Subject
from stigg_guard_django import guard_from, meters_usage, requires_feature
from stigg_guard_django.signals import (
    access_denied,
    shadow_denied,
    usage_dropped,
    usage_parked,
    usage_reported,
)
from tests.behaviour.routes import AT_LIMIT, DOMAIN, WITHIN
from tests.integrations.django_site import configure, project

configure()

TEMPLATES = "feature-01-templates"


@requires_feature(DOMAIN)
def domain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("domain")


@requires_feature(DOMAIN)
async def async_domain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("domain")


def asks_itself(request: HttpRequest) -> HttpResponse:
    guard_from(request).require(Subject(AT_LIMIT), DOMAIN)
    return HttpResponse("never")


@meters_usage(TEMPLATES)
def create(request: HttpRequest) -> HttpResponse:
    return HttpResponse("created")


@meters_usage(TEMPLATES)
async def async_create(request: HttpRequest) -> HttpResponse:
    return HttpResponse("created")


class Told:
    """What a signal told its receiver."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def __call__(self, sender: object, **about: Any) -> None:
        about.pop("signal")
        self.all.append({"sender": sender, **about})


@contextmanager
def receiver(signal: Signal, function: Any = None) -> Generator[Told]:
    """A receiver for the length of a block."""
    told = Told()
    signal.connect(function or told, weak=False)
    try:
        yield told
    finally:
        signal.disconnect(function or told)


HEADERS = {"X-Customer": AT_LIMIT}


@pytest.mark.parametrize("view", [domain, asks_itself])
def test_denied_request_is_told_with_its_decision(
    view: Any, sidecar: LocalSidecar
) -> None:
    with project({"": view}, target=sidecar.target), receiver(access_denied) as told:
        assert Client().get("/", headers=HEADERS).status_code == 402
    ((about),) = told.all
    assert about["sender"] is Decision
    assert about["decision"].reason == "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert about["request"].path == "/"


def test_request_that_a_rule_denies_is_told(sidecar: LocalSidecar) -> None:
    rules = [{"path": "/", "feature": DOMAIN}]
    with (
        project({"": create}, target=sidecar.target, rules=rules),
        receiver(access_denied) as told,
    ):
        assert Client().get("/", headers=HEADERS).status_code == 402
    assert [about["decision"].requirement.feature_id for about in told.all] == [DOMAIN]


def test_allowed_request_and_preflight_are_told_to_nobody(
    sidecar: LocalSidecar,
) -> None:
    with project({"": domain}, target=sidecar.target), receiver(access_denied) as told:
        assert Client().get("/", headers={"X-Customer": WITHIN}).status_code == 200
        preflight = {**HEADERS, "Access-Control-Request-Method": "GET"}
        assert Client().options("/", headers=preflight).status_code == 200
    assert told.all == []


def test_denial_that_nobody_answers_is_told_too(sidecar: LocalSidecar) -> None:
    request = RequestFactory().get("/", headers=HEADERS)
    with (
        project(target=sidecar.target),
        receiver(access_denied) as told,
        pytest.raises(AccessDenied),
    ):
        domain(request)
    assert [about["request"] for about in told.all] == [request]


async def test_denied_async_request_is_told_to_sync_and_async_receivers(
    sidecar: LocalSidecar,
) -> None:
    heard: list[Decision] = []

    async def hear(sender: object, decision: Decision, **_: Any) -> None:
        await asyncio.sleep(0)
        heard.append(decision)

    with (
        project({"": async_domain}, target=sidecar.target),
        receiver(access_denied) as told,
        receiver(access_denied, hear),
    ):
        response = await AsyncClient().get("/", headers=HEADERS)
    assert response.status_code == 402
    assert [about["decision"] for about in told.all] == heard
    assert len(heard) == 1


def test_request_in_shadow_is_told_apart_from_denied_ones(
    sidecar: LocalSidecar,
) -> None:
    with (
        project({"": domain}, target=sidecar.target, shadow=True),
        receiver(access_denied) as denied,
        receiver(shadow_denied) as shadow,
    ):
        assert Client().get("/", headers=HEADERS).status_code == 200
    assert denied.all == []
    assert [about["decision"].is_shadow for about in shadow.all] == [True]


def fails(**_: object) -> None:
    raise RuntimeError("a receiver is broken")


def test_broken_receiver_breaks_neither_the_answer_nor_other_receivers(
    sidecar: LocalSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    views = {"": domain, "create": create}
    with (
        project(views, target=sidecar.target),
        receiver(access_denied, fails),
        receiver(access_denied) as told,
        receiver(usage_reported, fails),
    ):
        assert Client().get("/", headers=HEADERS).status_code == 402
        headers = {"X-Customer": WITHIN}
        assert Client().post("/create", headers=headers).status_code == 200
    assert len(told.all) == 1
    assert caplog.text.count("a receiver is broken") >= 2


@pytest.mark.parametrize("view", [create, async_create])
def test_reported_usage_is_told(view: Any, sidecar: LocalSidecar) -> None:
    with project({"": view}, target=sidecar.target), receiver(usage_reported) as told:
        assert Client().post("/", headers={"X-Customer": WITHIN}).status_code == 200
    (about,) = told.all
    assert about["sender"] is Measurement
    assert (about["measurement"].feature_id, about["measurement"].value) == (
        TEMPLATES,
        1,
    )
    assert "cause" not in about


async def test_reported_usage_is_told_on_an_event_loop(sidecar: LocalSidecar) -> None:
    heard = asyncio.Event()

    async def hear(**_: object) -> None:
        heard.set()

    with (
        project({"": async_create}, target=sidecar.target),
        receiver(usage_reported, hear),
    ):
        await AsyncClient().post("/", headers={"X-Customer": WITHIN})
        await asyncio.wait_for(heard.wait(), 5)


def test_parked_usage_is_told_with_the_cause(
    sidecar: LocalSidecar, tmp_path: Any
) -> None:
    with (
        project(target=sidecar.target, outbox=tmp_path / "outbox.db"),
        receiver(usage_parked) as parked,
    ):
        assert guard_from().report(Subject("customer-of-nobody"), TEMPLATES) == "parked"
    (about,) = parked.all
    assert about["measurement"].subject.customer_id == "customer-of-nobody"
    assert "there is no customer 'customer-of-nobody'" in about["cause"]


def unknown(response: object) -> int:
    raise RuntimeError("nobody knows how much it was")


def test_lost_usage_is_told_with_the_cause(sidecar: LocalSidecar) -> None:
    view = meters_usage(TEMPLATES, value=unknown)(asks_nothing)
    with project({"": view}, target=sidecar.target), receiver(usage_dropped) as dropped:
        Client().post("/", headers={"X-Customer": WITHIN})
    (about,) = dropped.all
    assert about["measurement"] is None
    assert about["decision"].requirement.feature_id == TEMPLATES
    assert "nobody knows how much it was" in about["cause"]


def asks_nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")
