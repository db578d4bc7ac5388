"""Guarded operations of django-ninja, sync and async, with its own authentication."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.core.checks import run_checks
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from ninja import NinjaAPI, Router, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer
from openapi_spec_validator import validate

from sidecar_client.local import LocalSidecar
from stigg_guard import Subject, specs_of
from stigg_guard_django import guard_from
from stigg_guard_django.ninja import (
    answer_denials,
    meters_usage,
    requires_any,
    requires_feature,
)
from stigg_guard_django.routes import routes_of
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.django_site import GUARD, project


class NewTemplate(Schema):
    name: str
    copies: int = 1


class Bearer(HttpBearer):
    """The token is the id of a customer."""

    def authenticate(self, request: Any, token: str) -> str | None:
        return None if token == "wrong" else token


def customer_of(request: Any) -> Subject | None:
    """Whom the API's authentication found, else who is logged in to the site."""
    found = getattr(request, "auth", None) or request.META.get("HTTP_SESSION")
    return Subject(found) if found else None


def copies(arguments: Any) -> int:
    return int(arguments["template"].copies)


def asking_early(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Middleware that asks about the customer before the API knows its user."""

    def middleware(request: Any) -> Any:
        request.stigg.has(DOMAIN)
        return get_response(request)

    return middleware


router = Router()


@router.get("/domains/{number}")
@requires_feature(DOMAIN)
def domains(request: Any, number: int, word: str = "none") -> dict[str, object]:
    """List the domains."""
    return {"number": number, "word": word}


@router.post("/templates", response=NewTemplate)
@requires_feature(TEMPLATES)
@meters_usage(TEMPLATES, value=copies)
def create(request: Any, template: NewTemplate) -> Any:
    if template.name == "taken":
        raise HttpError(409, "taken")
    if template.name == "broken":
        raise ZeroDivisionError
    return template


@router.post("/async/{number}")
@meters_usage(TEMPLATES)
async def acreate(request: Any, number: int, template: NewTemplate) -> dict[str, int]:
    if template.name == "taken":
        raise HttpError(409, "taken")
    return {"number": number}


@router.get("/own")
@requires_any(DOMAIN, on_denied=404)
def own(request: Any) -> str:
    return "own"


@router.get("/asked")
def asked(request: Any) -> str:
    guard_from(request).require(Subject(request.auth), DOMAIN)
    return "asked"


@router.get("/unguarded")
def unguarded(request: Any) -> str:
    return "open"


def site() -> NinjaAPI:
    """An API of its own, without operations."""
    return NinjaAPI(auth=Bearer(), urls_namespace=f"api-{next(_numbers)}")


_numbers = iter(range(1000))
API = site()
API.add_router("", router)
_urls: dict[str, Any] = {}


@pytest.fixture(params=[False, True], ids=["plain", "debug"])
def served(request: Any, sidecar: LocalSidecar) -> Iterator[LocalSidecar]:
    """The API, in production and while its author looks on."""
    with serving(API, sidecar), override_settings(DEBUG=request.param):
        yield sidecar


def serving(api: NinjaAPI, sidecar: LocalSidecar) -> Any:
    namespace = api.urls_namespace
    # Older versions give an API's URLs once.
    if namespace not in _urls:
        _urls[namespace] = api.urls

    class Urls:
        urlpatterns: ClassVar[list[Any]] = [path("api/", _urls[namespace])]

    return _Both(
        project(target=sidecar.target, customer=customer_of),
        override_settings(ROOT_URLCONF=Urls),
    )


class _Both:
    """Two settings at a time."""

    def __init__(self, *parts: Any) -> None:
        self._parts = parts

    def __enter__(self) -> None:
        for part in self._parts:
            part.__enter__()

    def __exit__(self, *error: Any) -> None:
        for part in reversed(self._parts):
            part.__exit__(*error)


def client(token: str) -> Client:
    headers = {"authorization": f"Bearer {token}"}
    return Client(headers=headers, raise_request_exception=False)


def post(token: str, where: str, name: str = "one", **more: object) -> Any:
    body = {"name": name, **more}
    return client(token).post(f"/api/{where}", body, content_type="application/json")


def test_guarded_operation_keeps_its_parameters(served: LocalSidecar) -> None:
    response = client(WITHIN).get("/api/domains/7?word=seven")
    assert response.json() == {"number": 7, "word": "seven"}
    assert client(WITHIN).get("/api/domains/seven").status_code == 422


def test_denied_operation_is_answered_with_the_problem(served: LocalSidecar) -> None:
    response = client(AT_LIMIT).get("/api/domains/7")
    assert response.status_code == 402
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json()["feature_id"] == DOMAIN
    assert client(AT_LIMIT).get("/api/own").status_code == 404


@pytest.mark.parametrize("session", [{}, {"session": WITHIN}, {"session": AT_LIMIT}])
def test_customer_is_asked_for_again_when_the_api_knows_its_user(
    served: LocalSidecar, session: dict[str, str]
) -> None:
    with override_settings(MIDDLEWARE=[GUARD, f"{__name__}.asking_early"]):
        for token, status in ((WITHIN, 200), (AT_LIMIT, 402)):
            answer = client(token).get("/api/domains/7", headers=session)
            assert answer.status_code == status
            body = {"name": "one"}
            posted = client(token).post(
                "/api/async/7", body, content_type="application/json", headers=session
            )
            assert posted.status_code == status


def test_wrong_credentials_are_answered_by_the_api(served: LocalSidecar) -> None:
    assert client("wrong").get("/api/domains/7").status_code == 401
    assert not served.calls


def test_success_alone_is_metered_by_the_operations_arguments(
    served: LocalSidecar,
) -> None:
    assert post(WITHIN, "templates", copies=2).status_code == 200
    assert served.calls["GetEntitlement"] == 1
    assert post(WITHIN, "templates", "taken").status_code == 409
    assert post(WITHIN, "templates", "broken").status_code == 500
    assert post(AT_LIMIT, "templates").status_code == 402
    assert used(served, WITHIN) == 5
    assert post(WITHIN, "templates").status_code == 200


async def test_async_operation_is_guarded_and_metered(served: LocalSidecar) -> None:
    async def apost(token: str, name: str = "one") -> Any:
        headers: Any = {"authorization": f"Bearer {token}"}
        body, kind = {"name": name}, "application/json"
        return await AsyncClient().post("/api/async/7", body, kind, headers=headers)

    assert (await apost(WITHIN)).json() == {"number": 7}
    assert (await apost(WITHIN, "taken")).status_code == 409
    assert (await apost(AT_LIMIT)).status_code == 402
    assert used(served, WITHIN) == 4


def test_async_operation_works_under_wsgi(served: LocalSidecar) -> None:
    assert post(WITHIN, "async/7").status_code == 200
    assert post(AT_LIMIT, "async/7").status_code == 402
    assert used(served, WITHIN) == 4


def test_error_that_a_handler_turns_into_success_is_given_back(
    sidecar: LocalSidecar,
) -> None:
    api = site()

    api.post("/templates", response=NewTemplate)(create)

    @api.exception_handler(ZeroDivisionError)
    def forgiving(request: Any, error: Any) -> Any:
        return api.create_response(request, {"code": 1}, status=200)

    with serving(api, sidecar):
        assert post(WITHIN, "templates", "broken").json() == {"code": 1}
        assert used(sidecar, WITHIN) == 3


def test_denial_that_the_operation_asked_for_itself_is_answered(
    sidecar: LocalSidecar,
) -> None:
    api = site()
    api.get("/asked")(asked)
    answer_denials(api)
    with serving(api, sidecar), override_settings(DEBUG=True):
        assert client(AT_LIMIT).get("/api/asked").status_code == 402
    with serving(API, sidecar):
        assert client(AT_LIMIT).get("/api/asked").status_code == 402


def document_of(api: NinjaAPI) -> Any:
    """The OpenAPI document, as clients get it."""
    return json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/")))


def test_document_is_valid_and_tells_of_denials() -> None:
    document = document_of(API)
    validate(document)
    found = {
        where: sorted(int(status) for status in operation["responses"])
        for where, operations in document["paths"].items()
        for operation in operations.values()
    }
    assert found == {
        "/api/domains/{number}": [200, 402, 403, 503],
        "/api/templates": [200, 402, 403, 503],
        "/api/async/{number}": [200, 402, 403, 503],
        "/api/own": [200, 404],
        "/api/asked": [200],
        "/api/unguarded": [200],
    }
    parameters = document["paths"]["/api/domains/{number}"]["get"]["parameters"]
    assert [p["name"] for p in parameters] == ["number", "word"]


def unguarded_view(view: Any) -> Any:
    """What stands in for a guard."""
    return view


def test_document_differs_from_the_unguarded_ones_in_denials_alone() -> None:
    def made(guard: Callable[[Any], Any]) -> Any:
        api = NinjaAPI(urls_namespace=f"same-{next(_numbers)}")

        def view(request: Any, number: int, template: NewTemplate, q: str = "") -> Any:
            """Make one."""

        extra = {"x-own": 1}
        api.post("/{number}", response={201: NewTemplate}, openapi_extra=extra)(
            guard(view)
        )
        return document_of(api)

    guarded = made(requires_feature(DOMAIN))
    responses = guarded["paths"]["/api/{number}"]["post"]["responses"]
    assert [responses.pop(status)["description"] for status in ("402", "403", "503")]
    assert guarded == made(unguarded_view)


def test_what_is_documented_by_hand_stays() -> None:
    api = NinjaAPI(urls_namespace="by-hand")

    @api.get("/", response={200: str, 402: NewTemplate})
    @requires_feature(DOMAIN)
    def view(request: Any) -> str:
        return "view"

    responses: Any = document_of(api)["paths"]["/api/"]["get"]["responses"]
    assert list(responses["402"]["content"]) == ["application/json"]
    assert responses["403"]["description"] == "The customer may not do this."


def test_operation_that_yields_asynchronously_is_refused() -> None:
    async def view(request: Any) -> Any:
        yield "word"

    with pytest.raises(TypeError, match=r"view\(\).*StreamingHttpResponse"):
        requires_feature(ANALYTICS)(view)


def test_operations_are_among_the_routes_and_checked(sidecar: LocalSidecar) -> None:
    assert specs_of(domains)
    with serving(API, sidecar):
        rows = {
            (row.path, row.methods): row.requirements
            for row in routes_of()
            if row.is_guarded
        }
        with override_settings(MIDDLEWARE=()):
            ids = [message.id for message in run_checks()]
    assert rows == {
        ("/api/domains/<number>", ("GET",)): (DOMAIN,),
        ("/api/templates", ("POST",)): (TEMPLATES, f"{TEMPLATES} (meters copies())"),
        ("/api/async/<number>", ("POST",)): (f"{TEMPLATES} (meters 1)",),
        ("/api/own", ("GET",)): (DOMAIN,),
    }
    assert "stigg_guard.E003" in ids
