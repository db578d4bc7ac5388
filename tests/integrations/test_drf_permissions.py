"""Permission classes that ask for a feature, alone and combined with others."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.core.cache import cache
from django.test import override_settings
from django.urls import path
from django.views.decorators.cache import cache_page
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    IsAdminUser,
    IsAuthenticated,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError
from stigg_guard_django import decision_from, is_staff
from stigg_guard_django.drf import (
    APIAccessDenied,
    RequiresFeature,
    exception_handler,
    meters,
    requires,
)
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, FILE_SIZE, WITHIN
from tests.integrations.drf_site import Tokens, api, client


class Wrapped(BasePermission):
    """A permission of the project's, with words of its own."""

    message = "Only on weekdays."
    code = "weekday"

    def has_permission(self, request: Request, view: Any) -> bool:
        return "weekday" in request.query_params


def view_with(*permissions: Any) -> Any:
    """A view behind permissions; it has GET and POST."""

    class View(APIView):
        authentication_classes = (Tokens,)
        permission_classes = permissions

        def get(self, request: Request) -> Response:
            return Response("done")

        def post(self, request: Request) -> Response:
            return Response("done")

    return View.as_view()


def status(token: str | None, *permissions: Any, query: str = "") -> int:
    with_token = client() if token is None else client(token)
    views = {"": view_with(*permissions)}
    with override_settings(ROOT_URLCONF=_urls(views)):
        return int(with_token.get(f"/{query}").status_code)


def _urls(views: Any) -> Any:
    class Urls:
        urlpatterns: ClassVar[list[Any]] = [path(p, view) for p, view in views.items()]

    return Urls


@pytest.fixture
def project(sidecar: LocalSidecar) -> Any:
    with api({}, target=sidecar.target):
        yield sidecar


def test_permission_asks_with_the_options_of_the_decorator(project: Any) -> None:
    assert status(WITHIN, requires(DOMAIN)) == 200
    assert status(AT_LIMIT, requires(DOMAIN)) == 402
    assert status(AT_LIMIT, requires(FILE_SIZE, at_least=10)) == 200
    assert status(AT_LIMIT, requires(FILE_SIZE, at_least=25)) == 402
    assert status(AT_LIMIT, requires(DOMAIN, on_denied=404)) == 404


def test_authentication_comes_before_the_feature(project: Any) -> None:
    assert status(None, IsAuthenticated, requires(DOMAIN)) == 401
    assert status("wrong", requires(DOMAIN)) == 401
    assert not project.calls


def test_both_are_needed_with_and(project: Any) -> None:
    for both in (IsAdminUser & requires(DOMAIN), requires(DOMAIN) & IsAdminUser):
        assert status(f"staff:{WITHIN}", both) == 200
        assert status(f"staff:{AT_LIMIT}", both) == 402
        assert status(WITHIN, both) == 403


def test_one_is_enough_with_or_and_the_denial_tells_of_the_feature(
    project: Any,
) -> None:
    for either in (IsAdminUser | requires(DOMAIN), requires(DOMAIN) | IsAdminUser):
        assert status(f"staff:{AT_LIMIT}", either) == 200
        assert status(WITHIN, either) == 200
        assert status(AT_LIMIT, either) == 402


def test_feature_keeps_its_reason_among_composites_of_the_framework(
    project: Any,
) -> None:
    deep = IsAuthenticated & AllowAny & requires(DOMAIN)
    assert status(AT_LIMIT, deep) == 402
    assert status(AT_LIMIT, deep | Wrapped, query="?weekday") == 200
    assert status(AT_LIMIT, Wrapped | deep) == 402
    assert status(AT_LIMIT, IsAuthenticated & (requires(DOMAIN) | IsAdminUser)) == 402
    assert status(AT_LIMIT, ~IsAdminUser & requires(DOMAIN)) == 402
    assert status(AT_LIMIT, (IsAdminUser | AllowAny) & requires(DOMAIN)) == 402
    assert status(None, (IsAuthenticated & requires(DOMAIN)) | IsAdminUser) == 401


def test_other_permissions_keep_their_words(project: Any) -> None:
    both = requires(DOMAIN) & Wrapped
    with override_settings(ROOT_URLCONF=_urls({"": view_with(both)})):
        response = client(WITHIN).get("/")
    assert response.status_code == 403
    assert response.json() == {"detail": "Only on weekdays."}
    assert response.data["detail"].code == "weekday"


def test_permission_can_be_asked_without_a_view(project: Any) -> None:
    for token, is_allowed in ((WITHIN, True), (AT_LIMIT, False)):
        headers = {"authorization": f"Token {token}"}
        request = Request(APIRequestFactory().get("/", headers=headers))
        request.authenticators = [Tokens()]
        permission: Any = requires(DOMAIN)()
        assert permission.has_permission(request, None) is is_allowed
        if not is_allowed:
            with pytest.raises(APIAccessDenied):
                _ = permission.message


def test_negation_is_refused_and_says_why() -> None:
    with pytest.raises(TypeError, match=r"turn away those who have the feature"):
        _ = ~requires(DOMAIN)
    with pytest.raises(TypeError, match=r"no reason that could be told"):
        _ = ~(requires(DOMAIN) & IsAuthenticated)


def test_throttle_is_refused_in_a_composite() -> None:
    throttle: Any = meters("feature-01-templates")
    with pytest.raises(TypeError, match=r"throttle_classes = \[meters"):
        _ = requires(DOMAIN) | throttle


def test_permission_as_it_is_says_how_to_write_it() -> None:
    for arguments in ((), (DOMAIN,)):
        with pytest.raises(ConfigurationError, match=r"requires\(\"feature-id\"\)"):
            RequiresFeature(*arguments)


def test_wrong_list_is_named_with_the_right_one(project: Any) -> None:
    request = APIRequestFactory().get("/", headers={"authorization": f"Token {WITHIN}"})
    with pytest.raises(ConfigurationError, match="move it to throttle_classes"):
        view_with(meters(DOMAIN))(request)

    class View(APIView):
        throttle_classes = (requires(DOMAIN),)  # type: ignore[assignment]  # wrong

    with pytest.raises(ConfigurationError, match="move it to permission_classes"):
        View.as_view()(request)


def test_feature_is_asked_for_with_the_objects_resource(project: Any) -> None:
    class Sites(APIView):
        authentication_classes = (Tokens,)
        permission_classes = (
            requires(DOMAIN).of_object(lambda site: site["resource"]),
        )

        def get(self, request: Request) -> Response:
            site = {"resource": request.query_params["site"]}
            self.check_object_permissions(request, site)
            return Response("done")

    with override_settings(ROOT_URLCONF=_urls({"": Sites.as_view()})):
        assert client(WITHIN).get("/?site=site-01").status_code == 200
        response = client(WITHIN).get("/?site=site-99")
    assert response.status_code == 403
    assert response.json()["reason"] == "CUSTOMER_RESOURCE_NOT_FOUND"


@pytest.mark.parametrize(
    ("operator", "site", "owner", "status"),
    [
        ("or", "site-99", WITHIN, 200),
        ("or", "site-01", "", 200),
        ("or", "site-99", "", 403),
        ("and", "site-01", WITHIN, 200),
        ("and", "site-99", WITHIN, 403),
        ("and", "site-01", "", 403),
    ],
)
def test_permissions_of_objects_are_combined(
    project: Any, operator: str, site: str, owner: str, status: int
) -> None:
    class IsOwner(BasePermission):
        def has_object_permission(self, request: Request, view: Any, obj: Any) -> bool:
            return bool(obj["owner"] == request.query_params["owner"] == WITHIN)

    of_site = requires(DOMAIN).of_object(lambda site: str(site["resource"]))
    both = {"or": IsOwner | of_site, "and": IsOwner & of_site}[operator]

    class Sites(APIView):
        authentication_classes = (Tokens,)
        permission_classes = (both,)

        def get(self, request: Request) -> Response:
            self.check_object_permissions(request, {"resource": site, "owner": WITHIN})
            return Response("done")

    with override_settings(ROOT_URLCONF=_urls({"": Sites.as_view()})):
        response = client(WITHIN).get(f"/?owner={owner}")
    assert response.status_code == status
    is_of_feature = "reason" in response.json()
    assert is_of_feature == (site == "site-99" and status == 403)


def test_object_of_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="of_object was given 'site'"):
        requires(DOMAIN).of_object("site")  # type: ignore[arg-type]  # wrong


def test_forms_of_the_browsable_api_ask_nothing_twice(project: Any) -> None:
    with override_settings(ROOT_URLCONF=_urls({"": view_with(requires(DOMAIN))})):
        response = client(WITHIN, accept="text/html").get("/")
    assert response.status_code == 200
    assert "OPTIONS" in response.content.decode()
    assert project.calls["GetEntitlement"] == 1


def test_denied_form_of_the_browsable_api_is_left_out(project: Any) -> None:
    class OnPost(BasePermission):
        def has_permission(self, request: Request, view: Any) -> bool:
            return request.method == "GET"

    either = OnPost | requires(DOMAIN)
    with override_settings(ROOT_URLCONF=_urls({"": view_with(either)})):
        denied = client(AT_LIMIT, accept="text/html").get("/")
        allowed = client(WITHIN, accept="text/html").get("/")
    assert denied.status_code == allowed.status_code == 200
    assert 'name="_content"' in allowed.content.decode()
    assert 'name="_content"' not in denied.content.decode()
    assert "no-store" not in denied.headers.get("Cache-Control", "")


def test_problem_document_is_the_answer_with_our_handler(project: Any) -> None:
    handler = {"EXCEPTION_HANDLER": exception_handler}
    views = {"": view_with(requires(ANALYTICS, message="Ask sales."))}
    with override_settings(ROOT_URLCONF=_urls(views), REST_FRAMEWORK=handler):
        response = client(AT_LIMIT).get("/")
    assert response.status_code == 402
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "Ask sales."


def test_cache_around_the_view_keeps_no_response_of_a_customer(project: Any) -> None:
    shown = view_with(requires(DOMAIN))
    cached = cache_page(60)(shown)
    open_to_all = cache_page(60)(view_with())
    views = {"": cached, "open/": open_to_all}
    with override_settings(ROOT_URLCONF=_urls(views)):
        allowed = client(WITHIN).get("/")
        assert allowed.headers["Cache-Control"] == "private"
        assert client(AT_LIMIT).get("/").status_code == 402
        assert client(WITHIN).get("/open/").headers["Cache-Control"] == "max-age=60"


def test_shadow_lets_a_denied_customer_through(project: Any) -> None:
    shadow = requires(DOMAIN, shadow=True)
    assert status(AT_LIMIT, shadow) == 200
    assert status(AT_LIMIT, IsAuthenticated & shadow) == 200


def test_exemptions_know_the_apis_user(sidecar: LocalSidecar) -> None:
    own = view_with(requires(DOMAIN, exempt_when=is_staff))
    rules = [{"path": "/ruled/", "feature": DOMAIN}]
    settings: dict[str, Any] = {"target": sidecar.target, "rules": rules}
    with api({"own/": own, "ruled/": view_with(requires(DOMAIN))}, **settings):
        assert client(f"staff:{AT_LIMIT}").get("/own/").status_code == 200
        assert client(AT_LIMIT).get("/own/").status_code == 402
        assert client(f"staff:{AT_LIMIT}").get("/ruled/").status_code == 402
    settings["exempt_when"] = is_staff
    with api({"ruled/": view_with(requires(DOMAIN))}, **settings):
        assert client(f"staff:{AT_LIMIT}").get("/ruled/").status_code == 200
        assert client(AT_LIMIT).get("/ruled/").status_code == 402


def test_view_sees_what_was_decided(project: Any) -> None:
    class View(APIView):
        authentication_classes = (Tokens,)
        permission_classes = (requires(FILE_SIZE, at_least=10),)

        def get(self, request: Request) -> Response:
            decision = decision_from(request)
            assert decision is not None
            assert decision.entitlement is not None
            return Response(decision.entitlement.value)

    with override_settings(ROOT_URLCONF=_urls({"": View.as_view()})):
        assert client(WITHIN).get("/").json() == 100


@pytest.mark.parametrize("is_cached", [True, False])
def test_what_staff_may_see_is_kept_by_no_cache(
    is_cached: bool, sidecar: LocalSidecar
) -> None:
    cache.clear()
    view = view_with(IsAdminUser | requires(DOMAIN))
    shown = cache_page(60)(view) if is_cached else view
    with api({"": shown}, target=sidecar.target):
        answer = client(f"staff:{AT_LIMIT}").get("/")
        assert answer.status_code == 200
        assert "private" in answer.headers["Cache-Control"]
        assert client(AT_LIMIT).get("/").status_code == 402
