"""Fallbacks: read with clear errors, and answered only where there is no verdict."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar
from sidecar_client.local.fallbacks import Fallback, parse_fallbacks
from sidecar_client.local.stores.base import Changes, Entry, StoreError
from sidecar_client.local.stores.memory import MemoryStore
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.wire import ask, reason_of, refusal

FALLBACKS: dict[str, dict[str, Any]] = {
    "calls": {"hasAccess": True, "usageLimit": 1000},
    "seats": {"hasAccess": True, "isUnlimited": True},
    "size": {"hasAccess": True, "value": 5},
    "export": {"hasAccess": True, "enumValues": ["csv"]},
    "sso": {"hasAccess": False},
}
CATALOG: dict[str, object] = {
    "features": [
        {"id": "calls", "type": "metered", "meter": "incremental"},
        {"id": "size", "type": "numeric"},
        {"id": "sso", "type": "boolean"},
    ],
    "plans": [{"id": "p", "entitlements": {"calls": {"limit": 1}, "sso": True}}],
    "customers": [{"id": "c", "subscriptions": [{"plan": "p"}]}],
}


class MoodyStore(MemoryStore):
    """A store that does not answer while it is down."""

    down = False

    async def read(self, names: Sequence[str]) -> list[Entry]:
        self._refuse()
        return await super().read(names)

    async def marked(self, marks: Sequence[str]) -> list[bool]:
        self._refuse()
        return await super().marked(marks)

    async def commit(self, changes: Changes) -> bool:
        self._refuse()
        return await super().commit(changes)

    def _refuse(self) -> None:
        if self.down:
            raise StoreError("the store is down; wait for it")


@pytest.fixture
def store() -> MoodyStore:
    return MoodyStore()


@pytest.fixture
def sidecar(store: MoodyStore) -> Iterator[LocalSidecar]:
    sidecar = LocalSidecar(CATALOG, fallbacks=json.dumps(FALLBACKS))
    sidecar.world.store = store
    with sidecar:
        yield sidecar


@pytest.fixture
def offline() -> Iterator[LocalSidecar]:
    with LocalSidecar(CATALOG, fallbacks=FALLBACKS, offline=True) as sidecar:
        yield sidecar


def checked(sidecar: LocalSidecar, feature: str, **fallback: Any) -> Any:
    options = pb.GetEntitlementOptions(requested_usage=10**6)
    if fallback:
        options.fallback.CopyFrom(pb.GetEntitlementFallback(**fallback))
    return ask(
        sidecar,
        pb.GetEntitlementRequest(customer_id="c", feature_id=feature, options=options),
    )


def test_fallbacks_are_read_from_json() -> None:
    read = parse_fallbacks(json.dumps(FALLBACKS))
    assert read == {
        name: Fallback.model_validate(told) for name, told in FALLBACKS.items()
    }
    assert (read["calls"].has_access, read["calls"].usage_limit) == (True, 1000)
    assert [read[name].kind for name in read] == [
        "metered",
        "metered",
        "numeric",
        "enum",
        "boolean",
    ]


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_no_fallbacks_are_none(text: str) -> None:
    assert dict(parse_fallbacks(text)) == {}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "{a: 1}",
            "is no JSON: Expecting property name enclosed in double quotes at line 1, "
            "column 2; use an object such as "
            '{"feature-1": {"hasAccess": true, "usageLimit": 1000}}',
        ),
        (
            "[]",
            "is []; use an object such as "
            '{"feature-1": {"hasAccess": true, "usageLimit": 1000}}',
        ),
        ('{"a": true}', ": a: is true; use a mapping"),
        ('{"a": {}}', ": a.hasAccess: `hasAccess` is missing; add it"),
        ('{"a": {"hasAccess": "yes"}}', ": a.hasAccess: is 'yes'; use true or false"),
        (
            '{"a": {"hasAccess": true, "limit": 1}}',
            ": a.limit: `limit` is not a key here; remove it",
        ),
        (
            '{"a": {"hasAccess": true, "usageLimit": -1}}',
            ": a.usageLimit: is -1; use 0 or more",
        ),
        (
            '{"a": {"hasAccess": true, "usageLimit": 1e999}}',
            ": a.usageLimit: is Infinity; use a finite number",
        ),
        (
            '{"a": {"hasAccess": true, "usageLimit": NaN}}',
            ": NaN is no number; use a finite one",
        ),
        (
            '{"a": {"hasAccess": true, "value": 2147483648}}',
            ": a.value: is 2147483648; use less than 2147483648",
        ),
        (
            '{"a": {"hasAccess": true, "value": 1.5}}',
            ": a.value: is 1.5; use a whole number",
        ),
        (
            '{"a": {"hasAccess": true}, "a": {"hasAccess": false}}',
            ": 'a' is written twice; write it once",
        ),
        (
            '{"a b": {"hasAccess": true}}',
            ": 'a b' is no feature id; start with a letter or digit, then use letters, "
            "digits, _, |, . and -",
        ),
        ("[" * 100_000, "is no JSON: it is nested too deeply; use an object such as "),
    ],
)
def test_what_is_no_fallback_is_told_with_its_cure(text: str, problems: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fallbacks(text)
    expected = f"ENTITLEMENTS_FALLBACK{'' if problems[0] == ':' else ' '}{problems}"
    assert str(caught.value).startswith(expected)


def test_every_problem_is_told_and_none_without_end() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_fallbacks(json.dumps({f"f{n}": {} for n in range(1000)}))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert (
        lines[0]
        == "ENTITLEMENTS_FALLBACK: f0.hasAccess: `hasAccess` is missing; add it"
    )
    assert lines[-1] == "ENTITLEMENTS_FALLBACK: ... and 980 more"


def test_verdicts_win_over_every_fallback(sidecar: LocalSidecar) -> None:
    for feature, reason in (
        ("calls", "REQUESTED_USAGE_EXCEEDING_LIMIT"),
        ("sso", None),
        ("size", "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"),
        ("nothing", "FEATURE_NOT_FOUND"),
    ):
        answer = checked(sidecar, feature, has_access=reason is not None)
        assert (answer.has_access, answer.is_fallback) == (reason is None, False)
        assert reason_of(answer) == reason


def test_fallbacks_answer_when_the_store_does_not(
    sidecar: LocalSidecar, store: MoodyStore
) -> None:
    store.down = True
    calls = checked(sidecar, "calls")
    assert (calls.has_access, calls.is_fallback) == (True, True)
    assert (reason_of(calls), calls.metered.usage_limit) == (None, 1000)
    assert checked(sidecar, "seats").metered.is_unlimited
    assert checked(sidecar, "size").numeric.value == 5
    assert list(checked(sidecar, "export").enum.enum_values) == ["csv"]
    sso = checked(sidecar, "sso")
    assert (sso.has_access, sso.is_fallback) == (False, True)
    assert (reason_of(sso), sso.WhichOneof("entitlement")) == ("UNKNOWN", "boolean")
    store.down = False
    assert not checked(sidecar, "calls").is_fallback


def test_fallback_of_a_request_overrides_the_global_one(
    sidecar: LocalSidecar, store: MoodyStore
) -> None:
    store.down = True
    answer = checked(sidecar, "calls", has_access=False, usage_limit=3)
    assert (answer.has_access, answer.is_fallback) == (False, True)
    assert answer.metered.usage_limit == 3


def test_neither_verdict_nor_fallback_denies_as_unknown(
    sidecar: LocalSidecar, store: MoodyStore
) -> None:
    store.down = True
    answer = checked(sidecar, "other")
    assert (answer.has_access, answer.is_fallback) == (False, True)
    assert reason_of(answer) == "UNKNOWN"
    assert answer.WhichOneof("entitlement") is None


@pytest.mark.parametrize(
    ("request_type", "fallback", "shown"),
    [
        (
            pb.GetBooleanEntitlementRequest,
            pb.BooleanEntitlementFallback(has_access=True),
            {},
        ),
        (
            pb.GetNumericEntitlementRequest,
            pb.NumericEntitlementFallback(has_access=True, value=7),
            {"value": 7},
        ),
        (
            pb.GetMeteredEntitlementRequest,
            pb.MeteredEntitlementFallback(has_access=True, is_unlimited=True),
            {"is_unlimited": True, "current_usage": 0},
        ),
        (
            pb.GetEnumEntitlementRequest,
            pb.EnumEntitlementFallback(has_access=True, enum_values=["pdf"]),
            {"enum_values": ["pdf"]},
        ),
    ],
)
def test_typed_methods_answer_with_the_fallback_of_their_type(
    offline: LocalSidecar,
    request_type: type[Any],
    fallback: Message,
    shown: dict[str, object],
) -> None:
    request = request_type(
        customer_id="c", feature_id="any", options={"fallback": fallback}
    )
    answer = ask(offline, request)
    assert (answer.has_access, answer.is_fallback) == (True, True)
    assert reason_of(answer) is None
    assert answer.entitlement.feature.id == "any"
    assert {name: getattr(answer.entitlement, name) for name in shown} == shown


@pytest.mark.parametrize("granted", [None, False, True])
def test_wrong_type_is_told_with_the_answer_of_the_fallback(
    sidecar: LocalSidecar, granted: bool | None
) -> None:
    # The global fallback of calls grants it.
    request = pb.GetNumericEntitlementRequest(customer_id="c", feature_id="calls")
    if granted is not None:
        request.options.fallback.has_access = granted
        request.options.fallback.value = 4
    answer: pb.GetNumericEntitlementResponse = ask(sidecar, request)
    assert reason_of(answer) == "FEATURE_TYPE_MISMATCH"
    assert answer.is_fallback
    assert answer.has_access == (granted is not False)
    assert answer.entitlement.value == (0 if granted is None else 4)


def test_credits_fall_back_to_what_the_request_says(offline: LocalSidecar) -> None:
    request = pb.GetEntitlementV2Request(customer_id="c", currency_id="tokens")
    denied: pb.GetEntitlementV2Response = ask(offline, request)
    assert reason_of(denied.entitlement) == "UNKNOWN"
    assert denied.entitlement.is_fallback
    request.options.fallback.has_access = True
    granted: pb.GetEntitlementV2Response = ask(offline, request)
    assert (granted.entitlement.has_access, granted.entitlement.is_fallback) == (
        True,
        True,
    )


def test_lists_have_the_global_fallbacks(offline: LocalSidecar) -> None:
    state: pb.GetEntitlementsStateV2Response = ask(
        offline, pb.GetEntitlementsStateV2Request(customer_id="c")
    )
    verdicts = {
        getattr(item, item.WhichOneof("entitlement") or "").feature.id: (
            item.has_access,
            item.is_fallback,
        )
        for item in state.entitlements
    }
    assert reason_of(state) is None
    assert verdicts == {
        name: (told["hasAccess"], True) for name, told in FALLBACKS.items()
    }
    first: pb.GetEntitlementsResponse = ask(
        offline, pb.GetEntitlementsRequest(customer_id="c")
    )
    kinds = [item.WhichOneof("entitlement") for item in first.entitlements]
    assert kinds == ["metered", "metered", "numeric", "enum"]


def test_lists_without_any_fallback_are_empty_and_unknown() -> None:
    with LocalSidecar(CATALOG, offline=True) as sidecar:
        for kind in (pb.GetEntitlementsRequest, pb.GetEntitlementsStateV2Request):
            answer = ask(sidecar, kind(customer_id="c"))
            assert (reason_of(answer), len(answer.entitlements)) == ("UNKNOWN", 0)


def test_offline_writes_do_nothing_and_answer_with_the_ids(
    offline: LocalSidecar,
) -> None:
    request = pb.ReportUsageRequest(
        customer_id="c", resource_id="r", feature_id="calls", value=1
    )
    echoed = pb.ReportUsageResponse(
        customer_id="c", resource_id="r", feature_id="calls"
    )
    assert ask(offline, request) == echoed
    bulk: pb.ReportUsageBulkResponse = ask(
        offline, pb.ReportUsageBulkRequest(usages=[request, request])
    )
    assert list(bulk.usages) == [echoed, echoed]
    event = pb.Event(event_name="e", customer_id="c", idempotency_key="1")
    ask(offline, pb.ReportEventsRequest(events=[event]))
    assert offline.events == ()
    reloaded: pb.ReloadEntitlementsResponse = ask(
        offline, pb.ReloadEntitlementsRequest(customer_id="c")
    )
    assert not reloaded.entitled_entity_exists


@pytest.mark.parametrize(
    "request_",
    [
        pb.ReportUsageRequest(customer_id="c", feature_id="calls", value=1),
        pb.ReportUsageBulkRequest(
            usages=[pb.ReportUsageRequest(customer_id="c", feature_id="calls")]
        ),
        pb.ReportEventsRequest(
            events=[pb.Event(event_name="e", customer_id="c", idempotency_key="1")]
        ),
        pb.ReloadEntitlementsRequest(customer_id="c"),
    ],
    ids=lambda request: type(request).__name__,
)
def test_writes_are_unavailable_when_the_store_does_not_answer(
    sidecar: LocalSidecar, store: MoodyStore, request_: Message
) -> None:
    store.down = True
    assert refusal(sidecar, request_) == (
        grpc.StatusCode.UNAVAILABLE,
        "the store is down; wait for it",
    )


def test_requests_that_cannot_be_are_refused_without_a_store(
    sidecar: LocalSidecar, store: MoodyStore
) -> None:
    store.down = True
    code, message = refusal(
        sidecar,
        pb.GetEntitlementRequest(
            customer_id="c",
            feature_id="calls",
            options={"fallback": {"has_access": True, "usage_limit": float("nan")}},
        ),
    )
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message == "options.fallback.usage_limit is nan; use a finite number."


def test_outage_is_logged_once(
    sidecar: LocalSidecar, store: MoodyStore, caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> list[str]:
        return [
            record.message
            for record in caplog.records
            if record.name == "sidecar_client.local" and record.levelno >= logging.INFO
        ]

    caplog.set_level(logging.INFO, logger="sidecar_client.local")
    store.down = True
    for _ in range(3):
        checked(sidecar, "calls")
    store.down = False
    checked(sidecar, "calls")
    assert logged() == [
        "fallbacks answer, for the store does not: the store is down; wait for it",
        "the store answers again",
    ]
