"""While the Redis of a store is gone, HTTP says so, and goes on when it is back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from redis import Redis

from sidecar_client.local import LocalSidecar
from sidecar_client.local.stores.redis import RedisStore
from tests.local.http.conftest import Client
from tests.redis_server import RedisServer, redis_server

CUSTOMER = "customer-demo-01"
FEATURE = "feature-01-templates"
QUERY = f'{{getCustomerByRefId(input: {{customerId: "{CUSTOMER}"}}) {{name}}}}'
NEW = 'mutation {provisionCustomer(input: {customerId: "new"}) {customer {id}}}'
CHANGE = f'mutation {{updateOneCustomer(input: {{customerId: "{CUSTOMER}"}}) {{id}}}}'
COUNT = (
    "mutation {createUsageMeasurement(input:"
    f' {{customerId: "{CUSTOMER}", featureId: "{FEATURE}", value: 1}}) {{id}}}}'
)
USAGE = {"customerId": CUSTOMER, "featureId": FEATURE, "value": 1}
LOCAL = f"/local/customers/{CUSTOMER}"


class Asked(NamedTuple):
    """A request that needs the store."""

    method: str
    path: str
    json: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 (nobody changes it)


READS = [
    Asked("GET", "/api/v1/customers"),
    Asked("GET", f"/api/v1/customers/{CUSTOMER}"),
    Asked("GET", f"/api/v1/customers/{CUSTOMER}/entitlements"),
    Asked("GET", "/api/v1/plans"),
    Asked("GET", "/local/customers"),
    Asked("GET", LOCAL),
    Asked("GET", f"{LOCAL}/entitlements"),
    Asked("GET", "/local/definitions"),
    Asked("GET", "/local/features"),
    Asked("GET", "/local/catalog.yaml"),
    Asked("POST", "/graphql", {"query": QUERY}),
    Asked("GET", "/readyz"),
]
CHANGES = [
    Asked("POST", "/api/v1/usage", {"usages": [USAGE]}),
    Asked("POST", "/api/v1/usage", {"usages": [USAGE]}, {"Idempotency-Key": "k"}),
    Asked("PATCH", f"/api/v1/customers/{CUSTOMER}", {"name": "N"}),
    Asked("POST", f"{LOCAL}/usage", {"feature": FEATURE, "value": 1}),
    Asked("POST", f"{LOCAL}/promotions", {"feature": FEATURE, "terms": {"amount": 9}}),
    Asked("POST", "/graphql", {"query": CHANGE}),
    Asked("POST", "/graphql", {"query": COUNT}),
]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture(scope="module")
def sidecar(redis: RedisServer) -> Iterator[LocalSidecar]:
    store = RedisStore(redis.url, patience=0.05, patience_of_reading=0.05)
    with LocalSidecar(http_port=0, store=store) as running:
        yield running


@pytest.fixture
def client(sidecar: LocalSidecar, client_of: Client) -> httpx.Client:
    found = client_of(sidecar)
    found.headers["X-API-KEY"] = "k"
    return found


def send(client: httpx.Client, asked: Asked) -> httpx.Response:
    method, path, json, headers = asked
    return client.request(method, path, json=json, headers=headers)


@pytest.fixture
def killed(redis: RedisServer) -> Iterator[RedisServer]:
    redis.kill()
    yield redis
    redis.start()


@pytest.mark.parametrize(
    "asked", [*READS, *CHANGES], ids=lambda a: f"{a.method} {a.path}"
)
def test_request_is_answered_503_while_redis_is_gone_and_then_as_before(
    redis: RedisServer,
    client: httpx.Client,
    asked: Asked,
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = send(client, asked)
    assert before.is_success, before.text
    redis.kill()
    try:
        gone = send(client, asked)
    finally:
        redis.start()
    assert gone.status_code == 503
    assert "Traceback" not in caplog.text
    assert message_of(asked, gone)
    again = send(client, asked)
    assert again.status_code == before.status_code, again.text


def message_of(asked: Asked, answer: httpx.Response) -> bool:
    """Whether an answer says in its form that the store is out, and what to do."""
    found = answer.json()
    if asked.path == "/readyz":
        return bool(found == {"status": "DOWN"})
    if asked.path == "/graphql":
        (error,) = found["errors"]
        assert error["extensions"] == {"code": "UNAVAILABLE"}
        found = error
    elif asked.path.startswith("/api/"):
        assert (found["statusCode"], found["code"]) == (503, "UNAVAILABLE")
    text = found["message"]
    return "The store redis://127.0.0.1" in text and "look whether it runs" in text


def test_what_needs_no_store_is_served_without_it(
    client: httpx.Client, killed: RedisServer
) -> None:
    del killed
    for path in ("/livez", "/metrics", "/", "/local/clock", "/local/about"):
        assert client.get(path).status_code == 200, path


def test_keys_of_requests_that_failed_may_be_used_again(
    redis: RedisServer, client: httpx.Client
) -> None:
    asked = Asked(
        "POST", "/api/v1/usage", {"usages": [USAGE]}, {"Idempotency-Key": "again"}
    )
    redis.kill()
    try:
        assert send(client, asked).status_code == 503
    finally:
        redis.start()
    first = send(client, asked)
    assert first.is_success
    assert send(client, asked).json() == first.json()


@pytest.mark.parametrize(
    "asked",
    [
        *(*READS, *CHANGES),
        Asked("POST", "/api/v1/customers", {"id": "new"}),
        Asked("POST", "/graphql", {"query": NEW}),
    ],
    ids=lambda a: f"{a.method} {a.path}",
)
def test_request_is_answered_503_while_the_store_has_lost_everything(
    redis: RedisServer, sidecar: LocalSidecar, client: httpx.Client, asked: Asked
) -> None:
    with Redis(port=redis.port, db=0) as emptying:
        commands: Any = emptying
        commands.flushall()
    lost = send(client, asked)
    sidecar.reload()
    assert lost.status_code == 503, lost.text
    assert asked.path == "/readyz" or "has lost what was kept in it" in lost.text
    assert client.get("/api/v1/customers/new").status_code == 404
