"""What is wrong with a request is told in words of who sent it, not of our tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from pydantic import BaseModel

from sidecar_client.local import LocalSidecar
from sidecar_client.local.faults import METHODS
from sidecar_client.local.http.console import actions
from sidecar_client.local.http.control import AskedFault, ClockMove
from sidecar_client.local.http.graphql.routes import Posted
from sidecar_client.local.http.rest.openapi import document
from sidecar_client.local.http.rest.routes import ENDPOINTS
from tests.local.hostile.wrong_bodies import example, wrong
from tests.local.management.conftest import CATALOG

DOCUMENT: Final[dict[str, Any]] = document(ENDPOINTS)
SCHEMAS: Final[dict[str, Any]] = DOCUMENT["components"]["schemas"]
OPERATIONS: Final = [
    (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
LOCAL: Final[list[tuple[str, type[BaseModel]]]] = [
    ("/local/clock", ClockMove),
    ("/local/faults", AskedFault),
    ("/local/customers/acme/promotions", actions.AskedPromotion),
    ("/local/customers/acme/agreements", actions.AskedAgreement),
    ("/local/customers/acme/usage", actions.AskedUsage),
    ("/local/customers/acme/credits", actions.AskedCredits),
    ("/local/plans/pro/entitlements", actions.AskedPlanLimit),
    ("/graphql", Posted),
]
FORBIDDEN: Final = re.compile(
    r"pydantic|[Vv]alidat|\bInput\b|\bExtra\b|\binstance\b|function-|\[key\]|(?<!<)\bEOF\b"
    r"|\b(?:bool|int|float|str|bytes|dict|dictionary|tuple|Tuple|NoneType)\b"
    r"|\b(?:datetime|timedelta|timezone info|nan|inf|True|False)\b|(?<!')\bNone\b"
    r"|codec|max_str_digits|string conversion|recursion|Traceback|<class| at 0x"
    r"|(?<!Syntax )Error\b"
)


def class_names(kind: type[BaseModel] = BaseModel) -> Iterator[str]:
    """The names of our models that are no words."""
    for below in kind.__subclasses__():
        if below.__module__.startswith("sidecar_client."):
            yield from re.findall(r"^_?[A-Z][a-z]+[A-Z]\w+$", below.__name__)
        yield from class_names(below)


CLASSES: Final = re.compile(rf"\b(?:{'|'.join({*class_names()} - {*METHODS})})\b")


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """A program in front of a sidecar with plans and customers."""
    with LocalSidecar(CATALOG, http_port=0) as sidecar:
        assert sidecar.http_url
        headers = {"X-API-KEY": "any"}
        with httpx.Client(base_url=sidecar.http_url, headers=headers) as client:
            yield client


def checked(answer: httpx.Response) -> str:
    """What the answer says, which no tool of ours has written."""
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    told: dict[str, Any] = answer.json() or {}
    said: list[Any] = [told.get("message", ""), *told.get("errors", ())]
    # GraphQL tells each error as an object.
    text = "\n".join(
        item if isinstance(item, str) else item["message"] for item in said
    )
    for forbidden in (FORBIDDEN, CLASSES):
        assert not forbidden.search(text), text
    return text if answer.status_code >= 400 else ""


def posted(client: httpx.Client, method: str, path: str, body: Any) -> str:
    text = json.dumps(body).encode()
    return checked(client.request(method, path, content=text))


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        pytest.param(*operation, id=operation[2]["operationId"])
        for operation in OPERATIONS
        if "requestBody" in operation[2]
    ],
)
def test_wrong_body_is_told_by_its_field_in_plain_words(
    client: httpx.Client, method: str, path: str, operation: dict[str, Any]
) -> None:
    content = operation["requestBody"]["content"]
    url = re.sub(r"{\w+}", "none", path)
    body = example(content["application/json"]["schema"], SCHEMAS)
    for place, asked in wrong(body):
        said = posted(client, method, url, asked)
        if "\n" not in said:
            continue  # Its shape is one that can be.
        named = str(place[-1]) if place else ""
        assert named in said or f"{place[0]}.{place[1]}" in said, (place, said)


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        pytest.param(*operation, id=operation[2]["operationId"])
        for operation in OPERATIONS
        if any(item["in"] == "query" for item in operation[2]["parameters"])
    ],
)
def test_wrong_query_is_told_by_its_field_in_plain_words(
    client: httpx.Client, method: str, path: str, operation: dict[str, Any]
) -> None:
    url = re.sub(r"{\w+}", "none", path)
    found = [item for item in operation["parameters"] if item["in"] == "query"]
    needed = {
        item["name"]: example(item["schema"], SCHEMAS)
        for item in found
        if item.get("required")
    }
    names = [item["name"] for item in found]
    for name in (*names, "unknown", "createdAt[gt]", "createdAt[unknown]"):
        for value in ("", "5", "true", "x", "9" * 5000, "a b", "\0", "2026-02-30"):
            said = checked(client.request(method, url, params={**needed, name: value}))
            if " is " in said.partition("query: ")[2]:
                assert name.partition("[")[0] in said


@pytest.mark.parametrize(("path", "model"), LOCAL)
def test_wrong_body_below_local_is_told_in_plain_words(
    client: httpx.Client, path: str, model: type[BaseModel]
) -> None:
    schema = model.model_json_schema(mode="validation")
    body = example(schema, schema.get("$defs", {}))
    for _, asked in wrong(body):
        posted(client, "POST", path, asked)
    client.delete("/local/faults")
    client.delete("/local/clock")


EVENT: Final = {"customerId": "x", "eventName": "e", "idempotencyKey": "k"}
INPUTS: Final[list[tuple[str, str, dict[str, Any]]]] = [
    (
        "provisionCustomer(input: $input) { __typename }",
        "ProvisionCustomerInput",
        {"customerId": "x", "additionalMetaData": {"a": "b"}},
    ),
    (
        "provisionSubscription(input: $input) { status }",
        "ProvisionSubscriptionInput",
        {
            "customerId": "x",
            "planId": "x",
            "startDate": "2026-01-31",
            "addons": [{"addonId": "a", "quantity": 1}],
            "budget": {"limit": 1, "hasSoftLimit": True},
        },
    ),
    (
        "reportEvent(input: $input)",
        "UsageEventsReportInput",
        {"usageEvents": [EVENT | {"dimensions": {"a": 1}, "timestamp": "2026-01-31"}]},
    ),
    (
        "createUsageMeasurement(input: $input) { id }",
        "UsageMeasurementCreateInput",
        {"customerId": "x", "featureId": "x", "value": 1, "createdAt": "2026-01-31"},
    ),
]


@pytest.mark.parametrize(("field", "kind", "body"), INPUTS)
def test_wrong_input_of_graphql_is_told_in_plain_words(
    client: httpx.Client, field: str, kind: str, body: dict[str, Any]
) -> None:
    query = f"mutation ($input: {kind}!) {{ {field} }}"
    for place, asked in wrong(body):
        request = {"query": query, "variables": {"input": asked}}
        told = client.post("/graphql", content=json.dumps(request).encode())
        checked(told)
        for error in told.json().get("errors", ()):
            if error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED":
                assert str(place[-1] if place else "$input") in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("DELETE", f"/local/faults/{'9' * 5000}", 404, "is no number of a fault"),
        ("DELETE", "/local/faults/x", 404, "'x' is no number of a fault"),
        ("DELETE", "/local/faults/99", 404, "no fault 99 is on"),
        ("POST", "/local/webhooks/x/resend", 404, "sends no webhooks; give it one"),
        ("GET", f"/local/customers?limit={'9' * 5000}", 400, "limit has 5000 char"),
        ("GET", "/local/customers?limit=x", 400, "limit is 'x'; use a whole number"),
        ("GET", "/local/customers/%ff", 400, "is no customer id; start with"),
        (
            "GET",
            "/local/customers/acme/entitlements?scope=some",
            400,
            "scope is 'some'; use one of: said, all, denied",
        ),
        ("GET", "/local/feed?replay=x", 400, "replay is 'x'; use a number from 0"),
    ],
)
def test_wrong_address_is_told_in_plain_words(
    client: httpx.Client, method: str, path: str, status: int, message: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert message in checked(answer)


@pytest.mark.parametrize("path", ["/local/clock", "/graphql", "/api/v1/customers"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff", b'{"a":\xff}', b"[" * 100_000, b"nonsense", b"[1,]"),
        *(b'{"a" 1}', b'"\\ud800"', b"\x00", b'{"a": "\n"}', b'{"a": "\\x"}'),
        *(b"9" * 5000, b'{"advance": 1' + b"0" * 5000 + b"}", b"{a: 1}", b'{"a": 1'),
    ],
)
def test_bytes_that_are_no_json_are_told_in_plain_words(
    client: httpx.Client, path: str, body: bytes
) -> None:
    checked(client.post(path, content=body))
