"""Where a guard may stand in an API of Django REST framework."""

# The framework reads the settings when it is imported.
# ruff: noqa: E402

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from tests.integrations.django_site import configure

configure()

from django.core.checks import run_checks
from django.urls import path
from django.utils.decorators import method_decorator
from rest_framework import serializers, viewsets
from rest_framework.decorators import (
    action,
    api_view,
    authentication_classes,
    throttle_classes,
)
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

import stigg_guard_django
from sidecar_client.local import LocalSidecar
from stigg_guard import ConfigurationError
from stigg_guard_django import drf, guarded_path
from stigg_guard_django.drf import (
    GuardedViewSetMixin,
    meters,
    requires,
    requires_feature,
)
from stigg_guard_django.routes import routes_of
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.drf_site import Api, Tokens, api, client
from tests.wiring.rows import wiring

NAME = "Django REST framework"


@pytest.fixture
def sidecar() -> Iterator[LocalSidecar]:
    with LocalSidecar() as running:
        yield running


def statuses(sidecar: LocalSidecar, view: Any, method: str = "get") -> tuple[int, int]:
    """What a customer without the feature gets, and one who has it."""
    with api({"": view}, target=sidecar.target):
        limited, within = (
            getattr(client(token), method)("/") for token in (AT_LIMIT, WITHIN)
        )
    return limited.status_code, within.status_code


def routed(viewset: Any) -> Any:
    router = SimpleRouter(trailing_slash=False)
    router.register("", viewset, basename="set")

    class Urls:
        urlpatterns = router.urls

    return Urls


@wiring(NAME, "`@requires_feature` below `@api_view`", "guarded, with the API's user")
def test_below_api_view(sidecar: LocalSidecar) -> None:
    @api_view(["GET"])
    @authentication_classes([Tokens])
    @requires_feature(DOMAIN)
    def view(request: Request) -> Response:
        return Response()

    assert statuses(sidecar, view) == (402, 200)


@wiring(NAME, "`@requires_feature` on a method of an `APIView`", "guarded")
def test_on_a_method(sidecar: LocalSidecar) -> None:
    class View(Api):
        @requires_feature(DOMAIN)
        def get(self, request: Request) -> Response:
            return Response()

    assert statuses(sidecar, View.as_view()) == (402, 200)


@wiring(
    NAME,
    '`method_decorator(requires_feature(...), name="get")` on an `APIView`',
    "guarded",
)
def test_method_decorator_on_a_method(sidecar: LocalSidecar) -> None:
    @method_decorator(requires_feature(DOMAIN), name="get")
    class View(Api):
        def get(self, request: Request) -> Response:
            return Response()

    assert statuses(sidecar, View.as_view()) == (402, 200)


@wiring(
    NAME,
    "`@requires_feature` above or below `@action`",
    "guarded, and routed as before",
)
def test_on_an_action(sidecar: LocalSidecar) -> None:
    class Set(viewsets.ViewSet):
        authentication_classes = (Tokens,)

        @requires_feature(DOMAIN)
        @action(detail=False)
        def above(self, request: Request) -> Response:
            return Response()

        @action(detail=False)
        @requires_feature(DOMAIN)
        def below(self, request: Request) -> Response:
            return Response()

    with api({}, urls=routed(Set), target=sidecar.target):
        for path in ("/above", "/below"):
            assert client(AT_LIMIT).get(path).status_code == 402
            assert client(WITHIN).get(path).status_code == 200


@wiring(
    NAME,
    "`permission_classes = [IsAuthenticated, requires(...)]`",
    "guarded; combined by `&` and `|`, a denial keeps its reason",
)
def test_among_permissions(sidecar: LocalSidecar) -> None:
    class View(Api):
        permission_classes = (IsAuthenticated, requires(DOMAIN))

        def get(self, request: Request) -> Response:
            return Response()

    assert statuses(sidecar, View.as_view()) == (402, 200)


@wiring(
    NAME,
    "`throttle_classes = [meters(...)]`",
    "metered; denied with 402, or 429 with `on_denied=429`",
)
def test_among_throttles(sidecar: LocalSidecar) -> None:
    @api_view(["POST"])
    @authentication_classes([Tokens])
    @throttle_classes([meters(TEMPLATES)])
    def view(request: Request) -> Response:
        return Response()

    assert statuses(sidecar, view, "post") == (402, 200)
    assert used(sidecar, WITHIN) == 4


@wiring(
    NAME,
    '`stigg_requirements = {"create": meters(...)}` of a viewset',
    "guarded by action, after authentication, permissions and throttles",
)
def test_by_action(sidecar: LocalSidecar) -> None:
    class Set(GuardedViewSetMixin, viewsets.ViewSet):
        authentication_classes = (Tokens,)
        stigg_requirements = {"create": meters(TEMPLATES)}  # noqa: RUF012

        def create(self, request: Request) -> Response:
            return Response()

    view: Any = Set
    assert statuses(sidecar, view.as_view({"post": "create"}), "post") == (402, 200)
    assert used(sidecar, WITHIN) == 4


@wiring(
    NAME,
    "a rule for its path, or `guarded_path`",
    "guarded; the view's own authentication is run first",
)
def test_around_a_path(sidecar: LocalSidecar) -> None:
    class Urls:
        urlpatterns: ClassVar[list[Any]] = [
            path("ruled/", Dispatched.as_view()),
            guarded_path("guarded/", Dispatched.as_view(), feature=DOMAIN),
        ]

    rules = [{"path": "/ruled/", "feature": DOMAIN}]
    with api({}, urls=Urls, target=sidecar.target, rules=rules):
        for where in ("/ruled/", "/guarded/"):
            assert client(AT_LIMIT).get(where).status_code == 402
            assert client(WITHIN).get(where).status_code == 200


@wiring(
    NAME,
    "`stigg_guard_django.requires_feature` in place of that of `drf`",
    "guarded; the middleware answers, not the API's renderers",
)
def test_djangos_decorator(sidecar: LocalSidecar) -> None:
    @api_view(["GET"])
    @authentication_classes([Tokens])
    @stigg_guard_django.requires_feature(DOMAIN)
    def view(request: Request) -> Response:
        return Response()

    assert statuses(sidecar, view) == (402, 200)


BOTH = pytest.mark.parametrize(
    "decorator", [requires_feature, stigg_guard_django.requires_feature]
)


@BOTH
@wiring(
    NAME,
    "`@requires_feature` above `@api_view`",
    "refused at import: nobody knows yet who calls the API",
    is_right=False,
)
def test_above_api_view(decorator: Callable[..., Any]) -> None:
    @api_view(["GET"])
    def reports(request: Request) -> Response:
        return Response()

    right = r"put it below:\n\n    @api_view\(\[...\]\)\n    @requires_feature\(...\)\n"
    with pytest.raises(TypeError, match=rf"above @api_view on reports\(\).*{right}"):
        decorator(DOMAIN)(reports)


@BOTH
@wiring(
    NAME,
    "`requires_feature(...)(View.as_view())`, as in a URLconf",
    "refused at import, with the right places",
    is_right=False,
)
def test_around_as_view(decorator: Callable[..., Any]) -> None:
    class Reports(Api):
        pass

    sets: Any = viewsets.ViewSet
    for view, name in (
        (Reports.as_view(), "Reports"),
        (sets.as_view({"get": "list"}), "ViewSet"),
    ):
        with pytest.raises(TypeError, match=rf"{name}.as_view\(\).*permission_classes"):
            decorator(DOMAIN)(view)


@BOTH
@wiring(
    NAME,
    "`@requires_feature` on an `APIView` or viewset class",
    "refused at import, with the right places",
    is_right=False,
)
def test_on_a_class(decorator: Callable[..., Any]) -> None:
    for cls in (Api, viewsets.ViewSet):
        with pytest.raises(TypeError, match=rf"{cls.__name__}; .*permission_classes ="):
            decorator(DOMAIN)(cls)


@BOTH
@wiring(
    NAME,
    "`@requires_feature` on a serializer",
    "refused at import, with the right place",
    is_right=False,
)
def test_on_a_serializer(decorator: Callable[..., Any]) -> None:
    class Report(serializers.Serializer[Any]):
        pass

    with pytest.raises(TypeError, match=r"serializer Report.*method or action of the"):
        decorator(DOMAIN)(Report)


class Dispatched(Api):
    def get(self, request: Request) -> Response:
        return Response()


@BOTH
@wiring(
    NAME,
    '`method_decorator(requires_feature(...), name="dispatch")` on an `APIView`,'
    " or the decorator on `dispatch` itself",
    "refused by the check `stigg_guard.E020`, and by the first request",
    is_right=False,
)
def test_on_dispatch(sidecar: LocalSidecar, decorator: Callable[..., Any]) -> None:
    class Direct(Dispatched):
        @decorator(DOMAIN)  # type: ignore[untyped-decorator]  # either of two
        def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            return super().dispatch(request, *args, **kwargs)

    by_method = method_decorator(decorator(DOMAIN), name="dispatch")
    classes: tuple[Any, ...] = (Direct, by_method(type("Wrong", (Dispatched,), {})))
    for cls in classes:
        with api({"": cls.as_view()}, target=sidecar.target):
            found = [m for m in run_checks() if m.id == "stigg_guard.E020"]
            assert len(found) == 1
            assert f"{cls.__name__}.dispatch" in found[0].msg
            assert "permission_classes = [requires" in found[0].msg
            with pytest.raises(TypeError, match="permission_classes"):
                client(WITHIN, raises=True).get("/")


@wiring(
    NAME,
    "`meters(...)` among `permission_classes`, `requires(...)` among"
    " `throttle_classes`, either without its parentheses",
    "refused by the check `stigg_guard.E021`, and by the first request",
    is_right=False,
)
def test_in_the_wrong_list(sidecar: LocalSidecar) -> None:
    lists = (
        ("permission_classes", meters(DOMAIN), "move it to throttle_classes"),
        ("throttle_classes", requires(DOMAIN), "move it to permission_classes"),
        ("permission_classes", requires, r'write requires("feature-id")'),
        ("throttle_classes", meters, r'write meters("feature-id")'),
        ("permission_classes", drf.RequiresFeature, r'write requires("feature-id")'),
    )
    for name, wrong, cure in lists:
        view: Any = type("Wrong", (Dispatched,), {name: [wrong]})
        with api({"": view.as_view()}, target=sidecar.target):
            found = [m for m in run_checks() if m.id == "stigg_guard.E021"]
            assert [cure in m.msg for m in found] == [True]
            assert client(WITHIN).get("/").status_code == 500


@wiring(
    NAME,
    "`~requires(...)`",
    "refused at import: a denial would have no reason",
    is_right=False,
)
def test_negated() -> None:
    with pytest.raises(TypeError, match="no reason"):
        _ = ~requires(DOMAIN)


@wiring(
    NAME,
    "`GuardedViewSetMixin` right of the viewset",
    "refused at import: it would never ask",
    is_right=False,
)
def test_mixin_right_of_the_viewset() -> None:
    for base in (viewsets.ViewSet, viewsets.GenericViewSet, viewsets.ModelViewSet):
        with pytest.raises(
            ConfigurationError, match=r"Wrong\(GuardedViewSetMixin, ..."
        ):
            type("Wrong", (base, GuardedViewSetMixin), {})


@wiring(
    NAME,
    "`stigg_requirements` without `GuardedViewSetMixin`",
    "refused by the check `stigg_guard.E022`",
    is_right=False,
)
def test_requirements_without_their_mixin(sidecar: LocalSidecar) -> None:
    class Wrong(viewsets.ViewSet):
        stigg_requirements: ClassVar = {"list": requires(DOMAIN)}

        def list(self, request: Request) -> Response:
            return Response()

    wrong: Any = Wrong
    with api({"": wrong.as_view({"get": "list"})}, target=sidecar.target):
        (found,) = (m for m in run_checks() if m.id == "stigg_guard.E022")
        assert "Wrong(GuardedViewSetMixin, ...)" in str(found.hint)
        assert [route.requirements for route in routes_of()] == [()]


@wiring(
    NAME,
    "an unknown action in `stigg_requirements`",
    "refused at import, with the action that was meant",
    is_right=False,
)
def test_unknown_action() -> None:
    mapping = {"stigg_requirements": {"lst": requires(DOMAIN)}}

    class Base(viewsets.ViewSet):
        def list(self, request: Request) -> Response:
            return Response()

    with pytest.raises(ConfigurationError, match='Did you mean "list"'):
        type("Wrong", (GuardedViewSetMixin, Base), mapping)
