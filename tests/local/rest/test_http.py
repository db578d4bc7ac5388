"""What is the same for every endpoint: keys, errors, repeated answers, OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import httpx
import pytest
import stigg
from openapi_spec_validator import validate

from sidecar_client.local import LocalSidecar
from sidecar_client.local.http.rest.routes import ENDPOINTS
from tests.local.wire import Clock


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    """A program that speaks HTTP by itself."""
    with httpx.Client(base_url=url, headers={"X-API-KEY": "any"}) as client:
        yield client


def test_a_request_without_a_key_is_not_answered(http: httpx.Client) -> None:
    answer = http.get("/api/v1/customers", headers={"X-API-KEY": ""})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHENTICATED")


def test_a_configured_token_is_the_only_key() -> None:
    token = "a-token-of-24-characters"
    with LocalSidecar(http_port=0, token=token) as sidecar:
        assert sidecar.http_url is not None
        with pytest.raises(stigg.AuthenticationError):
            stigg.Stigg(api_key="other", base_url=sidecar.http_url).v1.plans.retrieve(
                "plan-revvenu-free"
            )
        client = stigg.Stigg(api_key=token, base_url=sidecar.http_url)
        assert client.v1.plans.retrieve("plan-revvenu-free").data.product_id == ""


@pytest.mark.parametrize(
    ("method", "path", "body", "told"),
    [
        ("POST", "customers", b"{", "is no JSON"),
        ("POST", "customers", b"[]", "body: the body is []; use an object."),
        ("POST", "customers", b"{}", "body: id is missing; add it."),
        ("POST", "customers", b'{"id": 1}', "body: id is 1; use a text."),
        ("POST", "customers", b'{"id": "a b"}', "'a b' is no customer id"),
        ("POST", "customers", b'{"id": "a", "nmae": "A"}', "nmae is not a field here"),
        ("POST", "customers", b'{"id": "\\ud800"}', "is no JSON"),
        (
            "POST",
            "customers",
            b"[" * 5000,
            "is no JSON (it is nested too deeply",
        ),
        ("GET", "customers?limit=101", b"", "query: limit is '101'; use 100 or less."),
        ("GET", "customers?after=!", b"", "after is '!'; use a cursor"),
        ("GET", "customers?nmae=A", b"", "query: nmae is not a field here"),
        (
            "GET",
            "customers?createdAt[gt]=x",
            b"",
            "createdAt.gt is 'x'; use a date or",
        ),
        ("POST", "customers/a b/archive", b"", "'a b' is no customer id"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(
    http: httpx.Client, method: str, path: str, body: bytes, told: str
) -> None:
    answer = http.request(method, f"/api/v1/{path}", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")
    assert told in answer.json()["message"]


def test_paths_and_methods_that_are_not_there_are_told(http: httpx.Client) -> None:
    nothing = http.get("/api/v1/nothing")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "NOT_FOUND")
    wrong = http.delete("/api/v1/customers")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST, GET")
    for path in ("v1/coupons", "v1/customers/acme/invoices", "v1-beta/entity-types"):
        assert http.get(f"/api/{path}").status_code == 501


def test_a_repeated_request_gets_the_answer_of_the_first(
    http: httpx.Client, clock: Clock
) -> None:
    def provision(name: str) -> httpx.Response:
        return http.post(
            "/api/v1/customers", json={"id": name}, headers={"Idempotency-Key": "k"}
        )

    first, second = provision("b"), provision("b")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second.headers["idempotent-replayed"] == "true"
    other = provision("c")
    assert other.status_code == 409
    assert "was used for another request" in other.json()["message"]
    clock.now += timedelta(hours=24)
    assert provision("b").status_code == 409


def test_a_repeated_refusal_is_a_refusal(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    path = "/api/v1/customers/b/archive"
    assert http.post(path, headers=headers).status_code == 404
    http.post("/api/v1/customers", json={"id": "b"})
    assert http.post(path, headers=headers).status_code == 404
    assert http.post(path).status_code == 200


def test_the_vendors_client_sends_its_idempotency_key(client: stigg.Stigg) -> None:
    headers = {"Idempotency-Key": "provision-b"}
    made = [
        client.v1.customers.provision(id="b", extra_headers=headers) for _ in range(2)
    ]
    assert made[0] == made[1]


def test_a_conflict_is_not_tried_again_by_the_vendors_client(
    client: stigg.Stigg,
) -> None:
    with pytest.raises(stigg.ConflictError) as caught:
        client.v1.customers.provision(id="acme")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert caught.value.request.headers["x-stainless-retry-count"] == "0"


def test_the_openapi_document_is_valid_and_has_every_endpoint(url: str) -> None:
    document = httpx.get(f"{url}/api/v1/openapi.json").json()
    validate(document)
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert described == {(e.method, f"/api{e.path}") for e in ENDPOINTS}
    names = [e.name for e in ENDPOINTS]
    assert len(set(names)) == len(names)


def _below(path: str) -> str:
    """A path without the names of its ids."""
    return re.sub(r"{\w+}", "{}", path)


def test_every_path_of_the_vendors_client_is_answered_or_said_not_to_be(
    http: httpx.Client,
) -> None:
    ours = {(e.method, _below(f"/api{e.path}")) for e in ENDPOINTS}
    missing: list[str] = []
    for source in Path(stigg.__file__).parent.glob("resources/**/*.py"):
        calls = re.findall(
            r"self\._(get_api_list|get|post|patch|put|delete)\(\s*"
            r'(?:path_template\(\s*)?"(/api/[^"]+)"',
            source.read_text(),
        )
        for verb, path in calls:
            method = "GET" if verb == "get_api_list" else verb.upper()
            if (method, _below(path)) not in ours:
                answer = http.request(method, re.sub(r"{\w+}", "x", path))
                if answer.status_code != 501:
                    missing.append(f"{method} {path}: {answer.status_code}")
    assert missing == []


def test_the_documentation_tells_of_every_endpoint_and_how_to_call_it(
    client: stigg.Stigg,
) -> None:
    page = Path(__file__).parents[3] / "docs" / "management-api.md"
    rows = re.findall(
        r"^\| (?:`(.*)`)? \| `(\w+) (/v\S+)` \|$", page.read_text("utf-8"), re.M
    )
    told = {(method, path) for _, method, path in rows}
    undocumented = {("GET", "/v1/products/{id}")}
    assert told | undocumented == {(e.method, e.path) for e in ENDPOINTS}
    for name, _, _ in rows:
        assert callable(attrgetter(name)(client)), name
