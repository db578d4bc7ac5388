"""Requirements of a viewset by action: asked after everything else, checked early."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError, guard_exempt
from stigg_guard_django.drf import (
    GuardedViewSetMixin,
    meters,
    meters_usage,
    requires,
)
from stigg_guard_django.routes import routes_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, FILE_SIZE, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.drf_site import Tokens, api, client
from tests.integrations.test_drf import routed


class Base(mixins.UpdateModelMixin, viewsets.GenericViewSet[Any]):
    authentication_classes = (Tokens,)
    permission_classes = (IsAuthenticated,)
    serializer_class = serializers.Serializer


class Templates(GuardedViewSetMixin, Base):
    stigg_requirements = {  # noqa: RUF012  # as a reader writes it
        "create": meters(TEMPLATES),
        "update": requires(DOMAIN),
        "publish": [requires(DOMAIN), meters(TEMPLATES, value=2)],
        "unpublish": requires(FILE_SIZE, at_least=1000),
    }

    def list(self, request: Request) -> Response:
        return Response([])

    def create(self, request: Any) -> Response:
        return Response(status=int(request.data.get("status", 201)))

    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return Response(kwargs)

    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: str) -> Response:
        return Response(pk)

    @publish.mapping.delete
    def unpublish(self, request: Request, pk: str) -> Response:
        return Response(pk)


class Separate(Templates):
    stigg_requirements = {  # noqa: RUF012  # as a reader writes it
        **Templates.stigg_requirements,
        "partial_update": meters(TEMPLATES),
    }


def derived(name: str, base: type, action: str) -> type:
    """A class whose mapping names an action."""
    mapping = {"stigg_requirements": {action: requires(DOMAIN)}}
    return type(name, (GuardedViewSetMixin, base), mapping)


def test_each_action_needs_what_its_entry_says(sidecar: LocalSidecar) -> None:
    with api({}, urls=routed(t=Templates), target=sidecar.target):
        limited, browser = client(AT_LIMIT), client(WITHIN)
        assert limited.get("/t/").status_code == 200
        assert limited.head("/t/").status_code == 200
        assert limited.options("/t/").status_code == 200
        assert limited.post("/t/").status_code == 402
        assert limited.post("/t/1/publish/").status_code == 402
        assert browser.post("/t/").status_code == 201
        assert browser.post("/t/", {"status": 409}).status_code == 409
        assert browser.post("/t/7/publish/").json() == "7"
        assert browser.delete("/t/7/publish/").status_code == 402
    assert used(sidecar, WITHIN) == 6


def test_partial_update_needs_what_update_needs(sidecar: LocalSidecar) -> None:
    with api({}, urls=routed(t=Templates), target=sidecar.target):
        for method in ("put", "patch"):
            assert getattr(client(AT_LIMIT), method)("/t/1/").status_code == 402
            assert getattr(client(WITHIN), method)("/t/1/").status_code == 200


def test_partial_update_with_its_own_entry_needs_that_alone(
    sidecar: LocalSidecar,
) -> None:
    with api({}, urls=routed(t=Separate), target=sidecar.target):
        assert client(WITHIN).patch("/t/1/").json() == {"pk": "1", "partial": True}
        assert client(WITHIN).put("/t/1/").status_code == 200
    assert used(sidecar, WITHIN) == 4


def test_requirements_may_be_those_of_one_route(sidecar: LocalSidecar) -> None:
    templates: Any = Templates
    own = {"list": requires(DOMAIN)}
    view = templates.as_view({"get": "list", "post": "create"}, stigg_requirements=own)
    with api({"": view}, target=sidecar.target):
        assert client(AT_LIMIT).get("/").status_code == 402
        assert client(AT_LIMIT).post("/").status_code == 201
        shown = [(route.methods, route.requirements) for route in routes_of()]
    assert shown == [(("GET",), (DOMAIN,)), (("POST",), ())]


@pytest.mark.parametrize("wrong", [[requires(DOMAIN)], "create", None])
def test_requirements_that_are_no_mapping_are_refused(wrong: Any) -> None:
    message = r"Wrong\.stigg_requirements is .* use a mapping by action"
    with pytest.raises(ConfigurationError, match=message):
        type("Wrong", (Templates,), {"stigg_requirements": wrong})


def test_permissions_come_before_the_actions_needs(sidecar: LocalSidecar) -> None:
    with api({}, urls=routed(t=Templates), target=sidecar.target):
        assert client().post("/t/").status_code == 401
        assert client(WITHIN).delete("/t/").status_code == 405
    assert not sidecar.calls


def test_decorator_on_the_action_holds_too(sidecar: LocalSidecar) -> None:
    class Both(GuardedViewSetMixin, viewsets.ViewSet):
        authentication_classes = (Tokens,)
        stigg_requirements = {"create": requires(DOMAIN)}  # noqa: RUF012

        @meters_usage(TEMPLATES)
        def create(self, request: Request) -> Response:
            return Response(status=201)

    with api({}, urls=routed(t=Both), target=sidecar.target):
        assert client(WITHIN).post("/t/").status_code == 201
        assert client(AT_LIMIT).post("/t/").json()["feature_id"] == DOMAIN
    assert used(sidecar, WITHIN) == 4


def test_viewset_called_without_the_middleware_meters_itself(
    sidecar: LocalSidecar,
) -> None:
    templates: Any = Templates
    view = templates.as_view({"post": "create"})
    headers = {"authorization": f"Token {WITHIN}"}
    with api({}, target=sidecar.target):
        assert view(APIRequestFactory().post("/", headers=headers)).status_code == 201
    assert used(sidecar, WITHIN) == 4


def test_unknown_action_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError) as caught:
        derived("Wrong", Base, "updte")

    assert 'Wrong.stigg_requirements names "updte"' in str(caught.value)
    assert 'Did you mean "update"? It has partial_update, update.' in str(caught.value)


@pytest.mark.parametrize(
    "need", [DOMAIN, requires, None, IsAuthenticated, requires(DOMAIN).of_object(str)]
)
def test_what_is_no_requirement_is_refused(need: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'\["update"\] has .*; use requires'):
        type("Wrong", (Templates,), {"stigg_requirements": {"update": need}})


def test_view_that_is_no_viewset_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"is no viewset; decorate its meth"):
        derived("Wrong", APIView, "get")


def test_exempt_action_is_not_asked_about_by_rules(sidecar: LocalSidecar) -> None:
    class Set(viewsets.ViewSet):
        authentication_classes = (Tokens,)

        @guard_exempt
        def list(self, request: Request) -> Response:
            return Response([])

        def create(self, request: Request) -> Response:
            return Response()

    rules = [{"path": "/t/*", "feature": DOMAIN}]
    with api({}, urls=routed(t=Set), target=sidecar.target, rules=rules):
        assert client(AT_LIMIT).get("/t/").status_code == 200
        assert client(AT_LIMIT).head("/t/").status_code == 200
        assert client(AT_LIMIT).post("/t/").status_code == 402


def test_guards_of_a_viewset_are_seen_by_the_checks() -> None:
    with (
        api({}, urls=routed(t=Templates)),
        override_settings(MIDDLEWARE=()),
    ):
        assert "stigg_guard.E003" in [message.id for message in run_checks()]
