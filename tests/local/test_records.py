"""Records survive being written as text, whatever store writes them."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel

from sidecar_client.local.catalog import EventMeter
from sidecar_client.local.credits import Recurring, consumed, granted
from sidecar_client.local.customers import CreditGrant
from sidecar_client.local.meters import added, share_of, starting
from sidecar_client.local.records import (
    KINDS,
    Aggregate,
    Wallet,
    aggregate_key,
    decoded,
    encoded,
    seen_key,
    usage_key,
    wallet_key,
)
from tests.local.wire import NOW

COUNTER = usage_key("c", "r", "f", NOW)
METER = EventMeter(event="e", aggregation="sum", field="n")


def again(name: str, record: BaseModel) -> BaseModel:
    return decoded(name, encoded(record))


def test_aggregate_with_waiting_events_survives() -> None:
    shares = [
        share_of(METER, {"n": 0.1}, visible=NOW + later, is_new=True)
        for later in (timedelta(0), timedelta(seconds=9))
    ]
    aggregate = added(starting(METER, 3, NOW), shares, NOW)
    assert aggregate.waiting
    assert again(aggregate_key(COUNTER).name, aggregate) == aggregate
    assert again(aggregate_key(COUNTER).name, Aggregate()) == Aggregate()


def test_wallet_with_its_ledger_survives() -> None:
    source = Recurring(
        id="s.p.tokens",
        currency="tokens",
        amount=10,
        cadence="month",
        soft_limit=False,
        begun=NOW,
    )
    grant = CreditGrant(id="g", currency="tokens", amount=5, expires=NOW)
    wallet = granted(Wallet(), grant, [source], NOW - timedelta(days=1))
    wallet = consumed(wallet, 99.5, [source], NOW, feature_id="f")
    assert wallet.ledger
    assert wallet.debt
    assert again(wallet_key("c", None, "tokens").name, wallet) == wallet


def test_each_key_names_a_kind_of_record() -> None:
    aggregate = aggregate_key(COUNTER)
    for key in (
        COUNTER,
        aggregate,
        seen_key(aggregate, "x"),
        wallet_key("c", "r", "t"),
    ):
        assert KINDS[key.name.partition("/")[0]] is key.kind
