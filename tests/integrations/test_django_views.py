"""Guarded Django views: functions and classes, with the middleware and without it."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.wsgi import WSGIHandler
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.vary import vary_on_cookie

from sidecar_client.local import LocalSidecar
from stigg_guard import AccessDenied, Subject, specs_of
from stigg_guard_django import guard_exempt, meters_usage, requires_feature
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.usage import used
from tests.integrations.django_site import configure, project

configure()

CUSTOMER = {"X-Customer": WITHIN}
LIMITED = {"X-Customer": AT_LIMIT}


@requires_feature(DOMAIN)
def domains(request: HttpRequest) -> HttpResponse:
    """List the domains."""
    return HttpResponse("domains")


@requires_feature(DOMAIN)
async def adomains(request: HttpRequest) -> HttpResponse:
    return HttpResponse("domains")


@meters_usage(TEMPLATES)
def create(request: HttpRequest) -> HttpResponse:
    if "missing" in request.GET:
        raise Http404
    return HttpResponse(status=int(request.GET.get("status", "201")))


@meters_usage(TEMPLATES)
async def acreate(request: HttpRequest) -> HttpResponse:
    if "missing" in request.GET:
        raise Http404
    return HttpResponse(status=int(request.GET.get("status", "201")))


class Domains(View):
    @requires_feature(DOMAIN)
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")

    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("open")


class AsyncDomains(View):
    @requires_feature(DOMAIN)
    async def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")


@method_decorator(requires_feature(DOMAIN), name="dispatch")
class AllDomains(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse("domains")


@method_decorator(meters_usage(TEMPLATES), name="dispatch")
class AllAsyncCreates(View):
    async def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=201)


@method_decorator(meters_usage(TEMPLATES), name="post")
class Creates(View):
    def post(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=201)


def test_guarded_view_keeps_its_nature() -> None:
    assert domains.__name__ == "domains"
    assert domains.__doc__ == "List the domains."
    assert list(inspect.signature(domains).parameters) == ["request"]
    assert not inspect.iscoroutinefunction(domains)
    assert inspect.iscoroutinefunction(adomains)
    assert [spec.need for spec in specs_of(domains)]


def test_view_called_without_the_middleware_raises_its_denial(
    sidecar: LocalSidecar,
) -> None:
    with project(target=sidecar.target):
        request = RequestFactory().get("/", headers=LIMITED)
        with pytest.raises(AccessDenied) as caught:
            domains(request)
    assert caught.value.decision.subject == Subject(AT_LIMIT)


async def test_async_view_called_without_the_middleware_raises_its_denial(
    sidecar: LocalSidecar,
) -> None:
    with project(target=sidecar.target):
        request = AsyncRequestFactory().get("/", headers=LIMITED)
        with pytest.raises(AccessDenied):
            await adomains(request)


def test_view_called_without_the_middleware_settles_itself(
    sidecar: LocalSidecar,
) -> None:
    factory = RequestFactory()
    with project(target=sidecar.target):
        create(factory.post("/", headers=CUSTOMER))
        create(factory.post("/?status=500", headers=CUSTOMER))
        with pytest.raises(Http404):
            create(factory.post("/?missing=1", headers=CUSTOMER))
    assert used(sidecar, WITHIN) == 4


async def test_async_view_called_without_the_middleware_settles_itself(
    sidecar: LocalSidecar,
) -> None:
    factory = AsyncRequestFactory()
    with project(target=sidecar.target):
        await acreate(factory.post("/", headers=CUSTOMER))
        await acreate(factory.post("/?status=500", headers=CUSTOMER))
        with pytest.raises(Http404):
            await acreate(factory.post("/?missing=1", headers=CUSTOMER))
    assert used(sidecar, WITHIN) == 4


def test_same_request_is_settled_each_time_it_is_used(sidecar: LocalSidecar) -> None:
    request = RequestFactory().post("/", headers=CUSTOMER)
    with project(target=sidecar.target):
        create(request)
        create(request)
    assert used(sidecar, WITHIN) == 5


@pytest.mark.parametrize("view", [domains, adomains])
def test_denial_that_nobody_answers_says_what_is_missing(
    sidecar: LocalSidecar, view: Callable[..., Any]
) -> None:
    with (
        project({"": view}, middleware=(), target=sidecar.target),
        pytest.raises(AccessDenied) as caught,
    ):
        Client(headers=LIMITED).get("/")
    assert (
        '"stigg_guard_django.StiggGuardMiddleware" to MIDDLEWARE'
        in (caught.value.__notes__[0])
    )


@pytest.mark.parametrize("view", [domains, create])
def test_guarded_request_does_not_outlive_its_answer(
    sidecar: LocalSidecar, view: Callable[..., Any]
) -> None:
    with project({"": view}, target=sidecar.target):
        handler = WSGIHandler()
        handler.load_middleware()
        gc.collect()
        gc.disable()
        try:
            request = RequestFactory().post("/", headers=CUSTOMER)
            assert handler.get_response(request).status_code in (200, 201)
            alive = weakref.ref(request)
            del request
            assert alive() is None
        finally:
            gc.enable()


def test_outer_view_that_fails_takes_the_inner_ones_usage_with_it(
    sidecar: LocalSidecar,
) -> None:
    @requires_feature(DOMAIN)
    def outer(request: HttpRequest) -> HttpResponse:
        create(request)
        return HttpResponse(status=503)

    with project(target=sidecar.target):
        outer(RequestFactory().post("/", headers=CUSTOMER))
    assert used(sidecar, WITHIN) == 3


def test_view_called_without_a_request_says_what_it_needs() -> None:
    with pytest.raises(TypeError, match="without a Django request"):
        domains("request")  # type: ignore[arg-type]  # what the error is for


def test_decorator_stands_on_single_methods_of_a_class(sidecar: LocalSidecar) -> None:
    with project({"domains/": Domains.as_view()}, target=sidecar.target):
        client = Client(headers=LIMITED)
        assert client.get("/domains/").status_code == 402
        assert client.post("/domains/").content == b"open"
        assert client.get("/domains/", headers=CUSTOMER).content == b"domains"


def test_method_decorator_guards_every_method(sidecar: LocalSidecar) -> None:
    with project({"domains/": AllDomains.as_view()}, target=sidecar.target):
        assert Client(headers=LIMITED).get("/domains/").status_code == 402
        assert Client(headers=CUSTOMER).get("/domains/").content == b"domains"


def test_method_decorator_meters_one_method(sidecar: LocalSidecar) -> None:
    with project({"new/": Creates.as_view()}, target=sidecar.target):
        assert Client(headers=CUSTOMER).post("/new/").status_code == 201
        assert used(sidecar, WITHIN) == 4


async def test_async_classes_are_guarded_by_method_and_as_a_whole(
    sidecar: LocalSidecar,
) -> None:
    views = {"new/": AllAsyncCreates.as_view(), "domains/": AsyncDomains.as_view()}
    with project(views, target=sidecar.target):
        client = AsyncClient()
        assert (await client.get("/domains/", headers=LIMITED)).status_code == 402
        assert (await client.get("/domains/", headers=CUSTOMER)).status_code == 200
        assert (await client.post("/new/", headers=LIMITED)).status_code == 402
        assert (await client.post("/new/", headers=CUSTOMER)).status_code == 201
    assert used(sidecar, WITHIN) == 4


async def test_async_class_called_without_the_middleware_settles_itself(
    sidecar: LocalSidecar,
) -> None:
    view: Any = AllAsyncCreates.as_view()
    with project(target=sidecar.target):
        await view(AsyncRequestFactory().post("/", headers=CUSTOMER))
    assert used(sidecar, WITHIN) == 4


def test_decorators_between_ours_are_kept(sidecar: LocalSidecar) -> None:
    @csrf_exempt
    @requires_feature(DOMAIN)
    @vary_on_cookie
    @meters_usage(TEMPLATES)
    @login_not_required
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    middleware = (
        "django.middleware.csrf.CsrfViewMiddleware",
        "stigg_guard_django.StiggGuardMiddleware",
    )
    with project({"": view}, target=sidecar.target, middleware=middleware):
        client = Client(enforce_csrf_checks=True, headers=CUSTOMER)
        response = client.post("/")
    assert response.status_code == 200
    assert response.headers["Vary"] == "Cookie"
    assert view.login_required is False  # type: ignore[attr-defined]  # Django's mark
    assert len(specs_of(view)) == 2
    assert used(sidecar, WITHIN) == 4


def test_template_that_fails_to_render_is_not_metered(sidecar: LocalSidecar) -> None:
    class Page:
        @property
        def words(self) -> str:
            raise ValueError("out of words")

    @meters_usage(TEMPLATES)
    def view(request: HttpRequest) -> TemplateResponse:
        page: object = Page() if "broken" in request.GET else {"words": "fine"}
        return TemplateResponse(request, "page.html", {"page": page})

    with project({"": view}, target=sidecar.target):
        client = Client(raise_request_exception=False, headers=CUSTOMER)
        assert client.post("/?broken=1").status_code == 500
        assert used(sidecar, WITHIN) == 3
        assert client.post("/").content == b"fine"
        assert used(sidecar, WITHIN) == 4


def test_streamed_response_is_settled_before_its_first_chunk(
    sidecar: LocalSidecar,
) -> None:
    seen: list[float] = []

    def chunks() -> Iterator[bytes]:
        seen.append(used(sidecar, WITHIN))
        yield b"one "
        yield b"two"

    @meters_usage(TEMPLATES)
    def view(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(chunks())

    with project({"": view}, target=sidecar.target):
        response = Client(headers=CUSTOMER).post("/")
        assert isinstance(response, HttpResponse | StreamingHttpResponse)
        assert response.getvalue() == b"one two"
    assert seen == [4]


def test_answer_by_exception_counts_with_the_status_it_becomes(
    sidecar: LocalSidecar,
) -> None:
    @meters_usage(TEMPLATES, when=[404])
    def view(request: HttpRequest) -> HttpResponse:
        raise Http404

    with project({"": view}, target=sidecar.target):
        assert Client(headers=CUSTOMER).post("/").status_code == 404
    assert used(sidecar, WITHIN) == 4


def test_broken_view_is_not_metered_whatever_counts_as_success(
    sidecar: LocalSidecar,
) -> None:
    @meters_usage(TEMPLATES, when=lambda status: True)
    def view(request: HttpRequest) -> HttpResponse:
        raise ValueError("broken")

    with project({"": view}, target=sidecar.target):
        client = Client(raise_request_exception=False, headers=CUSTOMER)
        assert client.post("/").status_code == 500
    assert used(sidecar, WITHIN) == 3


def test_view_that_wraps_the_request_is_guarded(sidecar: LocalSidecar) -> None:
    class Wrapped:
        def __init__(self, request: HttpRequest) -> None:
            self._request = request

    class Api:
        @requires_feature(DOMAIN)
        def get(self, request: Wrapped) -> HttpResponse:
            return HttpResponse("domains")

    with project(target=sidecar.target):
        request = RequestFactory().get("/", headers=LIMITED)
        with pytest.raises(AccessDenied):
            Api().get(Wrapped(request))


def test_rule_and_decorators_ask_once(sidecar: LocalSidecar) -> None:
    rules = [{"path": "/domains/", "feature": DOMAIN}]
    with project({"domains/": domains}, target=sidecar.target, rules=rules):
        assert Client(headers=CUSTOMER).get("/domains/").status_code == 200
    assert sidecar.calls["GetEntitlement"] == 1


def test_exempt_class_is_not_asked_about_by_rules(sidecar: LocalSidecar) -> None:
    @method_decorator(guard_exempt, name="dispatch")
    class Open(View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("open")

    rules = [{"path": "/api/*", "feature": DOMAIN}]
    views = {"api/open/": Open.as_view(), "api/other/": guard_exempt(Open.as_view())}
    with project(views, target=sidecar.target, rules=rules):
        client = Client(headers=LIMITED)
        assert client.get("/api/open/").content == b"open"
        assert client.get("/api/other/").content == b"open"
        assert client.get("/api/none/").status_code == 404
    assert not sidecar.calls


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (None, "private"),
        ("max-age=60", "max-age=60, private"),
        ("public, max-age=60", "public, max-age=60"),
        ("s-maxage=60", "s-maxage=60"),
        ("no-store", "no-store"),
    ],
)
@pytest.mark.parametrize("is_ruled", [True, False])
def test_shared_caches_keep_no_guarded_response_that_does_not_say_so(
    is_ruled: bool, said: str | None, sent: str, sidecar: LocalSidecar
) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={} if said is None else {"Cache-Control": said})

    rules = [{"path": "/x/", "feature": DOMAIN}] if is_ruled else []
    guarded = view if is_ruled else requires_feature(DOMAIN)(view)
    with project({"x/": guarded}, target=sidecar.target, rules=rules):
        answer = Client(headers=CUSTOMER).get("/x/")
    assert answer.headers["Cache-Control"] == sent
