"""Guarded views of Django REST framework: where a guard stands, and what it answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import override_settings
from rest_framework import serializers, viewsets
from rest_framework.decorators import (
    action,
    api_view,
    authentication_classes,
)
from rest_framework.exceptions import NotFound
from rest_framework.permissions import (
    IsAuthenticated,
)
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIRequestFactory
from rest_framework.views import exception_handler as drf_handler

from sidecar_client.local import LocalSidecar
from stigg_guard import Subject
from stigg_guard_django import entitlements_from, guard_from, usage_from
from stigg_guard_django.drf import (
    APIAccessDenied,
    exception_handler,
    meters,
    meters_usage,
    requires,
    requires_all,
    requires_any,
    requires_feature,
)
from tests.behaviour.routes import (
    ANALYTICS,
    ARCHIVED,
    AT_LIMIT,
    DOMAIN,
    FILE_SIZE,
    TEMPLATES,
    WITHIN,
)
from tests.behaviour.usage import used
from tests.integrations.django_site import GUARD
from tests.integrations.drf_site import Api, Tokens, api, client


class NewTemplate(serializers.Serializer[Any]):
    name = serializers.CharField()


def number_of_names(request: Any) -> int:
    return len(request.data["names"])


@api_view(["GET", "POST"])
@authentication_classes([Tokens])
@requires_feature(DOMAIN)
def domains(request: Any) -> Response:
    return Response({"domains": request.user.customer_id})


@api_view(["POST"])
@authentication_classes([Tokens])
@meters_usage(TEMPLATES, value=number_of_names)
def create_many(request: Request) -> Response:
    return Response(status=201)


class Templates(Api):
    @requires_feature(TEMPLATES)
    @meters_usage(TEMPLATES)
    def post(self, request: Any, **kwargs: Any) -> Response:
        NewTemplate(data=request.data).is_valid(raise_exception=True)
        if request.data["name"] == "broken":
            raise ZeroDivisionError
        return Response(status=201)

    def get(self, request: Request, **kwargs: Any) -> Response:
        return Response("open")


class Permitted(Api):
    permission_classes = (IsAuthenticated, requires(DOMAIN))

    def get(self, request: Request) -> Response:
        return Response("domains")


class TemplateSet(viewsets.ViewSet):
    authentication_classes = (Tokens,)

    def list(self, request: Request) -> Response:
        return Response([])

    @meters_usage(TEMPLATES)
    def create(self, request: Request) -> Response:
        return Response(status=201)

    @action(detail=True, methods=["post"])
    @requires_feature(DOMAIN)
    @meters_usage(TEMPLATES, value=2)
    def publish(self, request: Request, pk: str) -> Response:
        return Response(pk)

    @requires_any(ANALYTICS, DOMAIN)
    @action(detail=False, methods=["get"])
    def report(self, request: Request) -> Response:
        return Response("report")

    @action(detail=False, permission_classes=[requires(DOMAIN)])
    def permitted(self, request: Request) -> Response:
        return Response("permitted")

    @action(detail=False, methods=["post"], throttle_classes=[meters(TEMPLATES)])
    def counted(self, request: Request) -> Response:
        return Response("counted")


def routed(**sets: Any) -> Any:
    """URLs of viewsets by prefix."""
    router = SimpleRouter()
    for prefix, viewset in sets.items():
        router.register(prefix, viewset, basename=prefix)

    class Urls:
        urlpatterns = router.urls

    return Urls


def test_denied_function_view_is_answered_by_the_frameworks_renderer(
    sidecar: LocalSidecar,
) -> None:
    with api({"domains/": domains}, target=sidecar.target, upgrade_url="/plans/"):
        response = client(AT_LIMIT).get("/domains/")
        assert client(WITHIN).get("/domains/").json() == {"domains": WITHIN}
    assert response.status_code == 402
    assert isinstance(response, Response)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Accept" in response.headers["Vary"]
    problem = response.json()
    assert problem["reason"] == "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert problem["feature_id"] == DOMAIN
    assert problem["upgrade_url"] == "/plans/"
    assert AT_LIMIT not in response.content.decode()


def test_browsable_api_shows_the_denial(sidecar: LocalSidecar) -> None:
    with api({"domains/": domains}, target=sidecar.target):
        response = client(AT_LIMIT, accept="text/html").get("/domains/")
    assert response.status_code == 402
    assert response.headers["Content-Type"].startswith("text/html")
    assert "HTTP 402 Payment Required" in response.content.decode()
    assert "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION" in response.content.decode()


def test_numbers_of_a_denial_are_numbers(sidecar: LocalSidecar) -> None:
    with api({"t/": Templates.as_view()}, target=sidecar.target):
        problem = client(AT_LIMIT).post("/t/", {"name": "one"}).json()
    assert problem["current_usage"] == 6
    assert problem["usage_limit"] == 6
    assert problem["requested_usage"] == 1


def test_stacked_decorators_on_a_method_ask_once_and_meter_success_alone(
    sidecar: LocalSidecar,
) -> None:
    with api({"t/": Templates.as_view()}, target=sidecar.target):
        browser = client(WITHIN)
        assert browser.post("/t/", {"name": "one"}).status_code == 201
        assert sidecar.calls["GetEntitlement"] == 1
        assert browser.post("/t/", {}).status_code == 400
        assert browser.post("/t/", {"name": "broken"}).status_code == 500
        assert client(AT_LIMIT).get("/t/").json() == "open"
        assert used(sidecar, WITHIN) == 4
        # What failed was given back: two of six are left.
        assert browser.post("/t/", {"name": "two"}).status_code == 201
        assert browser.post("/t/", {"name": "three"}).status_code == 201
        assert browser.post("/t/", {"name": "four"}).status_code == 402


def test_functions_are_called_with_the_apis_request(sidecar: LocalSidecar) -> None:
    with api({"many/": create_many}, target=sidecar.target):
        names = {"names": ["one", "two"]}
        response = client(WITHIN).post("/many/", names, format="json")
        assert response.status_code == 201
        assert used(sidecar, WITHIN) == 5


def test_metering_that_is_settled_late_knows_the_apis_user(
    sidecar: LocalSidecar,
) -> None:
    seen: list[str] = []

    def value(request: Any, response: Any) -> float:
        seen.append(request.user.customer_id)
        return 2

    class View(Api):
        @meters_usage(TEMPLATES, value=value)
        def post(self, request: Request) -> Response:
            return Response(status=201)

    with api({"": View.as_view()}, target=sidecar.target):
        assert client(WITHIN).post("/").status_code == 201
    assert seen == [WITHIN]
    assert used(sidecar, WITHIN) == 5


def test_usage_can_be_set_in_the_view(sidecar: LocalSidecar) -> None:
    class View(Api):
        @meters_usage(TEMPLATES)
        def post(self, request: Request) -> Response:
            usage_from(request).value = 3
            return Response(status=201)

    with api({"": View.as_view()}, target=sidecar.target):
        client(WITHIN).post("/")
    assert used(sidecar, WITHIN) == 6


def test_streamed_response_is_metered_by_what_was_sent(sidecar: LocalSidecar) -> None:
    class View(Api):
        @meters_usage(TEMPLATES, streamed=len)
        def post(self, request: Request) -> StreamingHttpResponse:
            return StreamingHttpResponse(iter([b"a", b"b"]))

    with api({"": View.as_view()}, target=sidecar.target):
        response: Any = client(WITHIN).post("/")
        assert response.getvalue() == b"ab"
    assert used(sidecar, WITHIN) == 5


def test_error_that_a_handler_turns_into_success_is_given_back(
    sidecar: LocalSidecar,
) -> None:
    def forgiving(exc: Exception, context: Any) -> Response:
        return Response({"code": 1})

    with (
        api({"t/": Templates.as_view()}, target=sidecar.target),
        override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": forgiving}),
    ):
        response = client(WITHIN).post("/t/", {"name": "broken"})
        assert response.json() == {"code": 1}
    assert used(sidecar, WITHIN) == 3


def test_actions_of_a_viewset_are_guarded(sidecar: LocalSidecar) -> None:
    with api({}, urls=routed(t=TemplateSet), target=sidecar.target):
        assert client(AT_LIMIT).get("/t/").status_code == 200
        assert client(AT_LIMIT).post("/t/").status_code == 402
        assert client(AT_LIMIT).post("/t/1/publish/").status_code == 402
        assert client(AT_LIMIT).get("/t/report/").status_code == 402
        assert client(WITHIN).post("/t/").status_code == 201
        assert client(WITHIN).post("/t/7/publish/").json() == "7"
        assert client(WITHIN).get("/t/report/").status_code == 200
    assert used(sidecar, WITHIN) == 6


def test_actions_have_permissions_and_throttles_of_their_own(
    sidecar: LocalSidecar,
) -> None:
    with api({}, urls=routed(t=TemplateSet), target=sidecar.target):
        assert client(AT_LIMIT).get("/t/permitted/").status_code == 402
        assert client(WITHIN).get("/t/permitted/").json() == "permitted"
        assert client(AT_LIMIT).post("/t/counted/").status_code == 402
        assert client(WITHIN).post("/t/counted/").json() == "counted"
    assert used(sidecar, WITHIN) == 4


def test_requires_all_asks_for_everything(sidecar: LocalSidecar) -> None:
    class View(Api):
        @requires_all(DOMAIN, FILE_SIZE)
        def get(self, request: Request) -> Response:
            return Response()

    with api({"": View.as_view()}, target=sidecar.target):
        assert client(WITHIN).get("/").status_code == 200
        assert client(AT_LIMIT).get("/").status_code == 402


def test_view_of_the_api_works_without_the_middleware(sidecar: LocalSidecar) -> None:
    view = Templates.as_view()
    factory = APIRequestFactory()

    def post(token: str) -> Any:
        headers = {"authorization": f"Token {token}"}
        return view(factory.post("/", {"name": "one"}, headers=headers))

    with api({}, target=sidecar.target):
        assert post(WITHIN).status_code == 201
        assert post(AT_LIMIT).status_code == 402
        assert used(sidecar, WITHIN) == 4


def test_outage_is_503_with_the_time_to_try_again() -> None:
    with api({"": domains}, target="127.0.0.1:1", on_unavailable="deny"):
        response = client(WITHIN).get("/")
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert response.json()["reason"] == "NO_VERDICT"


def test_handlers_find_what_the_framework_makes_headers_of() -> None:
    seen: list[Any] = []

    def handler(exc: Exception, context: Any) -> Any:
        seen.append((getattr(exc, "wait", None), getattr(exc, "auth_header", None)))
        return drf_handler(exc, context)

    with override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": handler}):
        with api({"": domains}, target="127.0.0.1:1", on_unavailable="deny"):
            client(WITHIN).get("/")
        with api({"": domains}, no_customer="unauthorized"):
            client().get("/")
    assert seen == [(5, None), (None, "Token")]


def test_error_after_a_denial_that_the_view_caught_is_its_own(
    sidecar: LocalSidecar,
) -> None:
    class View(Api):
        permission_classes = (requires(DOMAIN),)

        def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
            try:
                super().initial(request, *args, **kwargs)
            except APIAccessDenied as error:
                raise NotFound from error

    def own(request: Any, decision: Any) -> HttpResponse:
        return HttpResponse("own", status=402)

    options: dict[str, Any] = {"target": sidecar.target, "on_denied": own}
    with api({"": View.as_view()}, **options):
        response = client(AT_LIMIT).get("/")
    assert response.status_code == 404
    assert "no-store" not in response.headers.get("Cache-Control", "")


def test_customer_is_asked_for_again_when_the_api_knows_its_user(
    sidecar: LocalSidecar,
) -> None:
    early = "tests.integrations.drf_site.AskingEarly"
    with (
        api({"": domains}, target=sidecar.target),
        override_settings(MIDDLEWARE=[GUARD, early]),
    ):
        response = client(WITHIN).get("/")
    assert response.json() == {"domains": WITHIN}
    assert response.headers["X-Early"] == "False"


@pytest.mark.parametrize("session", [None, WITHIN])
@pytest.mark.parametrize("needs", [(), (requires(FILE_SIZE),)])
def test_view_is_shown_what_the_user_of_the_api_has(
    needs: Any, session: str | None, sidecar: LocalSidecar
) -> None:
    class Shown(Api):
        permission_classes = needs

        def get(self, request: Request) -> Response:
            return Response(entitlements_from(request).has(DOMAIN))

    early = "tests.integrations.drf_site.AskingEarly"
    browser: dict[str, Any] = {} if session is None else {"session": session}
    with (
        api({"": Shown.as_view()}, target=sidecar.target),
        override_settings(MIDDLEWARE=[GUARD, early]),
    ):
        shown = client(AT_LIMIT, **browser).get("/")
        assert shown.headers["X-Early"] == str(session is not None)
        assert shown.json() is False
        assert client(WITHIN).get("/").json() is True


def test_nobodys_request_is_challenged_as_the_api_does_it(
    sidecar: LocalSidecar,
) -> None:
    options = {"target": sidecar.target, "no_customer": "unauthorized"}
    with api({"": domains}, **options):
        response = client().get("/")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Token"
    with api({"": domains}, target=sidecar.target):
        assert client().get("/").status_code == 403


def test_own_exception_handler_gets_the_denial(sidecar: LocalSidecar) -> None:
    def wrapped(exc: Exception, context: Any) -> Response | None:
        response = drf_handler(exc, context)
        if isinstance(exc, APIAccessDenied) and response is not None:
            response.data = {"error": exc.get_codes(), **exc.get_full_details()}
            assert exc.extensions["status"] == response.status_code == 410
        return response

    options = {"target": sidecar.target, "statuses": {"CUSTOMER_IS_ARCHIVED": 410}}
    with (
        api({"": domains}, **options),
        override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": wrapped}),
    ):
        response = client(ARCHIVED).get("/")
    assert response.status_code == 410
    assert response.json() == {
        "error": "CUSTOMER_IS_ARCHIVED",
        "code": "CUSTOMER_IS_ARCHIVED",
        "message": "This account is archived.",
    }
    assert response.headers["Cache-Control"] == "no-store"


def leaving(exc: Exception, context: Any) -> None:
    """Answer nothing."""


def test_denial_that_a_handler_leaves_is_answered_by_the_middleware(
    sidecar: LocalSidecar,
) -> None:
    with (
        api({"": domains}, target=sidecar.target),
        override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": leaving}),
    ):
        response = client(AT_LIMIT).get("/")
    assert response.status_code == 402
    assert response.headers["Content-Type"] == "application/problem+json"


class Asking(Api):
    renderer_classes = (JSONRenderer, BrowsableAPIRenderer)

    def get(self, request: Any) -> Response:
        guard_from().require(Subject(request.auth), DOMAIN)
        return Response("domains")

    def post(self, request: Request) -> Response:
        raise serializers.ValidationError("no")


@pytest.mark.parametrize("handler", [exception_handler, drf_handler])
def test_denial_that_the_view_asked_for_itself_is_answered(
    sidecar: LocalSidecar, handler: Any
) -> None:
    with (
        api({"": Asking.as_view()}, target=sidecar.target),
        override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": handler}),
    ):
        response = client(AT_LIMIT).get("/")
    assert response.status_code == 402
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.json()["feature_id"] == DOMAIN


def test_our_handler_leaves_other_errors_to_the_framework(
    sidecar: LocalSidecar,
) -> None:
    handler = "stigg_guard_django.drf.exception_handler"
    with (
        api({"": Asking.as_view(), "d/": domains}, target=sidecar.target),
        override_settings(REST_FRAMEWORK={"EXCEPTION_HANDLER": handler}),
    ):
        assert client(AT_LIMIT).post("/").json() == ["no"]
        problem = client(AT_LIMIT).get("/d/")
        page = client(AT_LIMIT, accept="text/html").get("/d/")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert page.headers["Content-Type"].startswith("text/html")


def own_answer(request: Any, decision: Any) -> Response:
    """An answer of the view's own, which the framework is to render."""
    return Response("own")


def test_answer_of_the_views_own_is_given(sidecar: LocalSidecar) -> None:
    class View(Api):
        @requires_feature(DOMAIN, on_denied=own_answer)
        def get(self, request: Request) -> Response:
            return Response("domains")

        @requires_feature(DOMAIN, on_denied=418)
        def post(self, request: Request) -> Response:
            return Response("domains")

        @requires_feature(DOMAIN, on_denied="/plans/")
        def put(self, request: Request) -> Response:
            return Response("domains")

    with api({"": View.as_view()}, target=sidecar.target):
        assert client(AT_LIMIT).get("/").json() == "own"
        assert client(AT_LIMIT).post("/").status_code == 418
        assert client(AT_LIMIT).put("/").status_code == 402
        page = client(AT_LIMIT, accept="text/html").put("/")
    assert page.status_code == 303
    assert page.headers["Location"] == "/plans/?next=/"


def test_usage_is_given_back_when_the_views_own_answer_looks_like_success(
    sidecar: LocalSidecar,
) -> None:
    class View(Api):
        throttle_classes = (meters(TEMPLATES),)

        @requires_feature(
            FILE_SIZE,
            at_least=1000,
            on_denied=lambda request, decision: Response("own"),
        )
        def post(self, request: Request) -> Response:
            return Response("done")

    with api({"": View.as_view()}, target=sidecar.target):
        assert client(WITHIN).post("/").json() == "own"
    assert used(sidecar, WITHIN) == 3


def test_answer_of_the_application_holds_for_permissions_too(
    sidecar: LocalSidecar,
) -> None:
    def own(request: Any, decision: Any) -> HttpResponse:
        return HttpResponse(f"no {decision.requirement.name}", status=402)

    options: dict[str, Any] = {"target": sidecar.target, "on_denied": own}
    with api({"": Permitted.as_view()}, **options):
        assert client(AT_LIMIT).get("/").content == f"no {DOMAIN}".encode()
