"""What is done about a webhook, in every framework: the suite of the receivers."""

from __future__ import annotations

import logging
import threading

import grpc
import pytest

from sidecar_client import BooleanEntitlement, GetEntitlementResponse
from stigg_guard import ConfigurationError, WebhookEvent
from tests.scripted_sidecar import ScriptedSidecar
from tests.webhooks.conftest import Build
from tests.webhooks.samples import CUSTOMER, SECRET, envelope, flat, updated

GRANTED = GetEntitlementResponse(has_access=True, boolean=BooleanEntitlement())
DENIED = GetEntitlementResponse(
    has_access=False,
    access_denied_reason="ACCESS_DENIED_REASON_NO_ACTIVE_SUBSCRIPTION",
    boolean=BooleanEntitlement(),
)


def test_an_upgrade_unblocks_the_customer_at_once(
    build: Build, scripted: ScriptedSidecar
) -> None:
    site = build(remember=3600)
    scripted.answer, scripted.fresh = DENIED, GRANTED
    assert site.page() == 402
    assert site.page() == 402
    assert scripted.calls["GetEntitlement"] == 1, "the denial is remembered"
    answer = site.send(updated())
    assert answer.status == 200
    assert site.page() == 200


def test_customer_and_resource_are_reloaded_at_the_sidecar(
    build: Build, scripted: ScriptedSidecar
) -> None:
    site = build()
    assert site.send(updated("customer-7", "site-01")).status == 200
    reloaded = {(r.customer_id, r.resource_id) for r in scripted.reloads}
    assert reloaded == {("customer-7", ""), ("customer-7", "site-01")}


def test_others_stay_remembered(build: Build, scripted: ScriptedSidecar) -> None:
    site = build(remember=3600)
    scripted.answer = GRANTED
    assert site.page("customer-1") == site.page("customer-2") == 200
    site.send(updated("customer-1"))
    assert site.page("customer-2") == 200
    assert scripted.calls["GetEntitlement"] == 2
    assert site.page("customer-1") == 200
    assert scripted.calls["GetEntitlement"] == 3


def test_last_known_decision_does_not_stand_in_any_more(
    build: Build, scripted: ScriptedSidecar
) -> None:
    site = build(on_unavailable="deny", last_known_for=3600)
    scripted.answer = GRANTED
    assert site.page() == 200
    site.send(updated())
    scripted.refusal = grpc.StatusCode.UNAVAILABLE, "away"
    assert site.page() == 503


def test_new_plan_is_asked_for_and_old_decisions_may_still_stand_in(
    build: Build, scripted: ScriptedSidecar
) -> None:
    site = build(remember=3600, on_unavailable="deny")
    scripted.answer = GRANTED
    assert site.page() == 200
    assert site.send(flat("plan.updated", id="plan-1", version=7)).status == 200
    assert site.page() == 200
    assert scripted.calls["GetEntitlement"] == 2
    site.send(flat("plan.updated", id="plan-1", version=8))
    scripted.refusal = grpc.StatusCode.UNAVAILABLE, "away"
    assert site.page() == 200
    assert not scripted.reloads


@pytest.mark.parametrize("given", [None, "", "wrong", SECRET + "x", SECRET[1:], "\xe9"])
def test_wrong_secret_is_refused_before_anything_is_done(
    build: Build,
    scripted: ScriptedSidecar,
    given: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[WebhookEvent] = []
    site = build(told.append)
    with caplog.at_level(logging.DEBUG):
        answer = site.send(b"not even JSON", secret=given)
    assert answer.status == 401
    assert not told
    assert not scripted.reloads
    (line,) = [r.getMessage() for r in caplog.records if "refused" in r.getMessage()]
    assert "Stigg-Webhooks-Secret" in line
    assert SECRET not in caplog.text
    assert given is None or len(given) < 2 or f" {given}" not in line
    assert SECRET.encode() not in answer.body


def test_refusals_are_logged_once_in_a_while(
    build: Build, caplog: pytest.LogCaptureFixture
) -> None:
    site = build()
    for _ in range(5):
        assert site.send(updated(), secret="wrong").status == 401
    assert sum("was refused" in r.getMessage() for r in caplog.records) == 1


def test_old_and_new_secret_are_taken_while_it_is_changed(build: Build) -> None:
    site = build(webhook_secret=["new-one", "old-one"])
    assert site.send(updated(), secret="new-one").status == 200
    assert site.send(updated(), secret="old-one").status == 200
    assert site.send(updated(), secret="older-one").status == 401


def test_other_methods_are_refused(build: Build, scripted: ScriptedSidecar) -> None:
    site = build()
    answer = site.send(updated(), method="PUT")
    assert answer.status == 405
    assert "POST" in {k.lower(): v for k, v in answer.headers.items()}["allow"]
    assert not scripted.reloads


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe\x00", b"[]", b"null", b"[" * 200_000, b"{}", b'{"type": 5}'],
)
def test_bodies_that_are_no_webhook_are_refused(build: Build, body: bytes) -> None:
    answer = build().send(body)
    assert answer.status == 400
    assert b"The body" in answer.body


def test_body_may_have_a_megabyte_and_no_more(
    build: Build, scripted: ScriptedSidecar
) -> None:
    site = build()
    found = updated()
    room = 1_048_576 - len(str(found)) - 300
    assert site.send({**found, "padding": "x" * room}).status == 200
    assert site.send({**updated(), "padding": "x" * 1_048_576}).status == 413
    assert len(scripted.reloads) == 1


def test_message_that_comes_again_is_handled_once(
    build: Build, scripted: ScriptedSidecar
) -> None:
    told: list[WebhookEvent] = []
    site = build(told.append)
    message = updated()
    assert [site.send(message).status for _ in range(3)] == [200, 200, 200]
    assert len(told) == 1
    assert len(scripted.reloads) == 1


def test_types_that_nobody_knows_are_answered_with_success(
    build: Build, scripted: ScriptedSidecar
) -> None:
    told: list[WebhookEvent] = []
    site = build(told.append)
    assert site.send(flat("moon.full")).status == 200
    assert site.send(envelope("moon.new", phase=0)).status == 200
    assert [event.type for event in told] == ["moon.full", "moon.new"]
    assert not scripted.reloads


def test_handler_gets_the_event_and_what_is_asked_in_it_is_new(
    build: Build, scripted: ScriptedSidecar
) -> None:
    told: list[tuple[WebhookEvent, bool]] = []

    def on_event(event: WebhookEvent) -> None:
        allowed = bool(site.guard.check(CUSTOMER, "feature-03-custom-domain"))
        told.append((event, allowed))

    site = build(on_event, remember=3600)
    scripted.answer, scripted.fresh = DENIED, GRANTED
    assert site.page() == 402
    message = envelope("subscription.updated", customer={"id": CUSTOMER})
    assert site.send(message).status == 200
    ((event, is_allowed),) = told
    assert event.customer_id == CUSTOMER
    assert event.message_id == message["messageId"]
    assert event.data == {"customer": {"id": CUSTOMER}}
    assert is_allowed


def test_failed_handler_is_an_error_and_is_called_when_the_message_comes_again(
    build: Build, scripted: ScriptedSidecar
) -> None:
    told: list[str] = []

    def on_event(event: WebhookEvent) -> None:
        told.append(event.type)
        if len(told) == 1:
            raise LookupError("the database is away")

    site, message = build(on_event), updated()
    with pytest.raises(LookupError):  # of which servers make a 500
        site.send(message)
    assert site.send(message).status == 200
    assert site.send(message).status == 200
    assert len(told) == 2


def test_handlers_of_the_guard_may_choose_types(build: Build) -> None:
    site = build()
    all_types: list[str] = []
    some: list[str] = []

    @site.guard.on_webhook
    def on_all(event: WebhookEvent) -> None:
        all_types.append(event.type)

    @site.guard.on_webhook("subscription.*", "customer.updated")
    def on_some(event: WebhookEvent) -> None:
        some.append(event.type)

    assert callable(on_all)
    assert callable(on_some)
    names = ["customer.created", "customer.updated", "subscription.canceled"]
    for name in names:
        site.send(flat(name, id="customer-1"))
    assert all_types == names
    assert some == names[1:]


def test_message_comes_again_while_the_sidecar_is_away(
    build: Build, scripted: ScriptedSidecar
) -> None:
    told: list[WebhookEvent] = []
    site, message = build(told.append), updated()
    scripted.refusal = grpc.StatusCode.UNAVAILABLE, "away"
    assert site.send(message).status == 503
    assert len(told) == 1, "handlers do not wait for the sidecar"
    scripted.refusal = None
    assert site.send(message).status == 200
    assert len(told) == 1
    assert len(scripted.reloads) == 2


@pytest.mark.parametrize("code", ["NOT_FOUND", "UNIMPLEMENTED"])
def test_sidecar_that_knows_no_such_customer_or_call_is_fine(
    build: Build, scripted: ScriptedSidecar, code: str
) -> None:
    scripted.refusal = grpc.StatusCode[code], "unknown"
    assert build().send(updated()).status == 200


def test_guard_that_is_switched_off_asks_nothing_and_tells_handlers(
    build: Build, scripted: ScriptedSidecar
) -> None:
    told: list[WebhookEvent] = []
    site = build(told.append, enabled=False)
    assert site.send(updated()).status == 200
    assert len(told) == 1
    assert not scripted.calls


def test_answer_that_was_under_way_is_not_remembered(
    build: Build, scripted: ScriptedSidecar
) -> None:
    site = build(remember=3600)
    scripted.answer, scripted.fresh = DENIED, GRANTED
    asked = threading.Event()
    scripted.on_call = asked.set
    scripted.gate.clear()
    page = threading.Thread(target=site.guard.check, args=(CUSTOMER, _DOMAIN))
    page.start()
    assert asked.wait(10)
    scripted.on_call = lambda: None
    assert site.send(updated()).status == 200
    scripted.answer = DENIED  # what was read before the upgrade arrives after it
    scripted.gate.set()
    page.join()
    scripted.answer = GRANTED
    assert site.page() == 200


_DOMAIN = "feature-03-custom-domain"


def test_missing_secret_is_one_clear_error(build: Build) -> None:
    with pytest.raises(ConfigurationError, match=r"(?i)webhook_secret.*set it to the"):
        build(webhook_secret=None).send(updated())
