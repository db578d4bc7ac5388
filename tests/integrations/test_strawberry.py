"""Guarded GraphQL resolvers: Strawberry alone, in Django, and in FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import strawberry
from django.test import AsyncClient, Client
from fastapi import FastAPI
from starlette.testclient import TestClient
from strawberry.extensions import SchemaExtension
from strawberry.fastapi import GraphQLRouter

from sidecar_client.local import LocalSidecar
from stigg_guard import FeatureSettings, Guard, Settings, Subject, subject
from tests.integrations.django_site import configure, project

configure()

from strawberry.django.views import AsyncGraphQLView, GraphQLView  # noqa: E402

TEMPLATES = "feature-01-templates"
ANALYTICS = "feature-04-analytics"
EDITORS = "feature-08-editors"

CUSTOMER = Subject("customer-demo-01")
CREATE = 'mutation { create(name: "a") acreate(name: "b") }'


class ForCustomer(SchemaExtension):
    """Binds who the request says that it is, while an operation runs."""

    def on_execute(self) -> Iterator[None]:
        with subject(customer_of(self.execution_context.context)):
            yield


def customer_of(context: Any) -> str:
    """The customer that the tests name in a header, or give as the context."""
    if isinstance(context, str):
        return context
    found: str = context["request"].headers["x-customer"]
    return found


def customer_of_call(info: strawberry.Info[Any, Any]) -> str:
    return customer_of(info.context)


def schema_of(guard: Guard) -> strawberry.Schema:
    """A schema with guarded resolvers, sync and async."""

    @strawberry.type
    class Query:
        @strawberry.field
        @guard.requires_feature(ANALYTICS)
        def analytics(self) -> str:
            return "numbers"

        @strawberry.field
        @guard.requires_feature(ANALYTICS)
        async def aanalytics(self) -> str:
            await asyncio.sleep(0)
            return "numbers"

        @strawberry.field
        @guard.requires_feature(EDITORS)
        def editors(self) -> str | None:
            pytest.fail("ran")

        @strawberry.field
        @guard.requires_feature(EDITORS)
        async def aeditors(self) -> str | None:
            pytest.fail("ran")

        @strawberry.field
        @guard.requires_feature(ANALYTICS, customer=customer_of_call)
        def mine(self, info: strawberry.Info[Any, Any]) -> str:
            return "mine"

    @strawberry.type
    class Mutation:
        @strawberry.mutation
        @guard.meters_usage(TEMPLATES)
        def create(self, name: str) -> str:
            return name

        @strawberry.mutation
        @guard.meters_usage(TEMPLATES)
        async def acreate(self, name: str) -> str:
            await asyncio.sleep(0)
            return name

        @strawberry.mutation
        @guard.meters_usage(TEMPLATES)
        def fail(self) -> str:
            raise ZeroDivisionError

    return strawberry.Schema(Query, Mutation, extensions=[ForCustomer])


@pytest.fixture
def guard(sidecar: LocalSidecar) -> Iterator[Guard]:
    guard = Guard(target=sidecar.target, timeout=5, write_timeout=5)
    yield guard
    guard.close()


@pytest.fixture
async def aguard(guard: Guard) -> AsyncIterator[Guard]:
    yield guard
    await guard.aio.aclose()


def used(guard: Guard) -> float | None:
    return guard.entitlements(CUSTOMER)[TEMPLATES].current_usage


def check_denied(error: dict[str, Any], field: str) -> None:
    assert error["path"] == [field]
    assert error["extensions"]["status"] == 402
    assert error["extensions"]["feature_id"] == EDITORS
    reason = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert error["extensions"]["reason"] == reason
    assert "customer-demo" not in str(error)


def test_sync_resolvers_are_guarded_in_a_plain_schema(guard: Guard) -> None:
    schema = schema_of(guard)
    context = "customer-demo-01"
    done = schema.execute_sync("{ analytics mine editors }", context_value=context)
    assert done.data == {"analytics": "numbers", "mine": "mine", "editors": None}
    assert done.errors is not None
    (error,) = done.errors
    check_denied(dict(error.formatted), "editors")
    created = schema.execute_sync(
        'mutation { create(name: "a") }', context_value=context
    )
    assert created.data == {"create": "a"}
    assert used(guard) == 4


async def test_async_resolvers_are_guarded_in_a_plain_schema(aguard: Guard) -> None:
    schema = schema_of(aguard)
    context = "customer-demo-01"
    done = await schema.execute(
        "{ aanalytics analytics aeditors }", context_value=context
    )
    assert done.data == {
        "aanalytics": "numbers",
        "analytics": "numbers",
        "aeditors": None,
    }
    assert done.errors is not None
    (error,) = done.errors
    check_denied(dict(error.formatted), "aeditors")
    await schema.execute(CREATE, context_value=context)
    assert used(aguard) == 5


def test_resolver_that_fails_uses_nothing(guard: Guard) -> None:
    done = schema_of(guard).execute_sync(
        "mutation { fail }", context_value="customer-demo-01"
    )
    assert done.errors is not None
    assert isinstance(done.errors[0].original_error, ZeroDivisionError)
    assert used(guard) == 3


def test_denial_tells_what_the_application_settled(sidecar: LocalSidecar) -> None:
    settings = Settings(
        target=sidecar.target,
        timeout=5,
        upgrade_url="/pricing/",
        features={EDITORS: FeatureSettings(status=403, message="Editors cost more.")},
    )
    guard = Guard(settings)
    done = schema_of(guard).execute_sync(
        "{ editors }", context_value="customer-demo-01"
    )
    assert done.errors is not None
    extensions = done.errors[0].extensions
    assert extensions is not None
    assert extensions["status"] == 403
    assert extensions["detail"] == "Editors cost more."
    assert done.errors[0].message == "Editors cost more."
    guard.close()


def test_resolvers_are_guarded_in_fastapi(guard: Guard) -> None:
    app = FastAPI()
    app.include_router(GraphQLRouter[Any, Any](schema_of(guard)), prefix="/graphql")
    headers = {"x-customer": "customer-demo-01"}
    with TestClient(app, headers=headers) as client:
        query = {"query": "{ analytics aanalytics mine editors }"}
        done = client.post("/graphql", json=query).json()
        assert done["data"]["analytics"] == done["data"]["aanalytics"] == "numbers"
        check_denied(done["errors"][0], "editors")
        other = {"x-customer": "customer-demo-02"}
        done = client.post("/graphql", json={"query": "{ mine }"}, headers=other).json()
        assert done["errors"][0]["extensions"]["status"] == 402
        client.post("/graphql", json={"query": CREATE})
    assert used(guard) == 5


def test_sync_resolvers_are_guarded_in_django(guard: Guard) -> None:
    views = {"graphql": GraphQLView.as_view(schema=schema_of(guard))}
    with project(views):
        client = Client(headers={"x-customer": "customer-demo-01"})
        query = {"query": "{ analytics mine editors }"}
        done = client.post("/graphql", query, content_type="application/json").json()
        assert done["data"]["analytics"] == "numbers"
        check_denied(done["errors"][0], "editors")
        query = {"query": 'mutation { create(name: "a") }'}
        client.post("/graphql", query, content_type="application/json")
    assert used(guard) == 4


async def test_async_resolvers_are_guarded_in_django(aguard: Guard) -> None:
    views = {"graphql": AsyncGraphQLView.as_view(schema=schema_of(aguard))}

    async def post(query: str) -> Any:
        answer = await AsyncClient().post(
            "/graphql",
            {"query": query},
            content_type="application/json",
            headers={"x-customer": "customer-demo-01"},
        )
        return answer.json()

    with project(views):
        done = await post("{ aanalytics mine aeditors }")
        assert done["data"]["aanalytics"] == "numbers"
        check_denied(done["errors"][0], "aeditors")
        await post(CREATE)
    assert used(aguard) == 5
