"""What a customer has, in Django's views and templates, and in Jinja's."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import (
    Context,
    RequestContext,
    Template,
    TemplateSyntaxError,
    engines,
)
from django.template.backends.jinja2 import Jinja2
from django.template.response import SimpleTemplateResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.utils.asyncio import async_unsafe
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import cache_page

from sidecar_client.local import LocalSidecar
from stigg_guard import Subject
from stigg_guard_django import (
    RequestEntitlements,
    StiggRequest,
    entitlements_from,
    meters_usage,
    requires_feature,
)
from stigg_guard_django.context_processors import stigg
from tests.behaviour.routes import ANALYTICS, AT_LIMIT, DOMAIN, TEMPLATES, WITHIN
from tests.behaviour.servers import uvicorn_serving
from tests.integrations.django_site import GUARD, configure, customer_of, project

configure()

FILE_SIZE = "feature-06-max-file-size"
UNLIMITED = "customer-demo-04"
WHO = (WITHIN, AT_LIMIT)


@pytest.fixture(autouse=True)
def _site(sidecar: LocalSidecar) -> Iterator[None]:
    with project(target=sidecar.target):
        yield


def request_of(customer: str | None) -> HttpRequest:
    headers = {} if customer is None else {"X-Customer": customer}
    return RequestFactory().get("/", headers=headers)


def rendered(source: str, customer: str | None = WITHIN, **context: Any) -> str:
    template = Template("{% load stigg_guard %}" + source)
    return template.render(RequestContext(request_of(customer), context)).strip()


CHOICE = "yes{% else %}no{% endentitled %}"


@pytest.mark.parametrize(
    ("condition", "may", "may_not"),
    [
        (f'"{DOMAIN}"', "yes", "no"),
        (f'not "{DOMAIN}"', "no", "yes"),
        (f'not not "{DOMAIN}"', "yes", "no"),
        (f'"{DOMAIN}" and "{TEMPLATES}"', "yes", "no"),
        (f'"{DOMAIN}" and "feature-none"', "no", "no"),
        (f'"feature-none" or "{DOMAIN}"', "yes", "no"),
        (f'"{DOMAIN}" or "{DOMAIN}" and "feature-none"', "yes", "no"),
        (f'"{DOMAIN}" and not "feature-none"', "yes", "no"),
        ("wanted", "yes", "no"),
        ("wanted|lower", "yes", "no"),
    ],
)
def test_entitled_shows_what_is_for_the_customer(
    condition: str, may: str, may_not: str
) -> None:
    source = "{% entitled " + condition + " %}" + CHOICE
    assert rendered(source, WITHIN, wanted=DOMAIN) == may
    assert rendered(source, AT_LIMIT, wanted=DOMAIN) == may_not


def test_entitled_needs_no_else_and_nests() -> None:
    source = (
        f'{{% entitled "{DOMAIN}" %}}a{{% entitled "{ANALYTICS}" %}}b'
        "{% endentitled %}{% endentitled %}"
    )
    assert rendered(source) == "ab"
    assert rendered(source, AT_LIMIT) == ""


def test_nobody_is_entitled_to_nothing() -> None:
    assert rendered('{% entitled "' + DOMAIN + '" %}' + CHOICE, None) == "no"


def test_entitlement_tells_all_about_a_feature() -> None:
    source = (
        f'{{% entitlement "{TEMPLATES}" as t %}}{{% if t %}}{{{{ t.used }}}} of'
        " {{ t.limit }}, {{ t.remaining }} left{% else %}{{ t.reason }}{% endif %}"
    )
    assert rendered(source) == "3 of 6, 3 left"
    assert rendered(source, AT_LIMIT) == "REQUESTED_USAGE_EXCEEDING_LIMIT"


def test_entitlement_without_end_has_no_number() -> None:
    source = (
        f'{{% entitlement "{TEMPLATES}" as t %}}{{{{ t.remaining }}}}'
        "{% if t.is_unlimited %} unlimited{% endif %}"
    )
    assert rendered(source, UNLIMITED) == "None unlimited"


def test_filters_ask_for_the_request_and_for_stigg() -> None:
    source = (
        "{% if request|has_feature:'" + DOMAIN + "' and not stigg|has_feature:'x' %}"
        "{{ stigg|feature_value:'" + FILE_SIZE + "' }}"
        " {{ request|feature_remaining:'" + TEMPLATES + "' }}{% endif %}"
    )
    request = request_of(WITHIN)
    template = Template("{% load stigg_guard %}" + source)
    context = {"request": request, **stigg(request)}
    assert template.render(Context(context)) == "100 3"


def test_one_question_serves_a_whole_page(sidecar: LocalSidecar) -> None:
    part = '{% entitled "' + DOMAIN + '" %}' + CHOICE
    source = part * 3 + f'{{% entitlement "{TEMPLATES}" as t %}}{{{{ t.used }}}}'
    assert rendered(source) == "yesyesyes3"
    assert sidecar.calls == {"GetEntitlementsStateV2": 1}


def test_page_that_shows_nothing_of_it_asks_nothing(sidecar: LocalSidecar) -> None:
    with project({"x/": page}, target=sidecar.target):
        assert Client(headers={"X-Customer": WITHIN}).get("/x/").status_code == 200
    assert not sidecar.calls


def page(request: StiggRequest) -> HttpResponse:
    assert isinstance(request.stigg, RequestEntitlements)
    return render(request, "page.html", stigg(request))


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ("entitled", "names no feature; write {% entitled"),
        ('entitled "a" "b"', 'does not understand ""b"" in'),
        ('entitled "a" and', 'ends with "and"'),
        ('entitled and "a"', 'does not understand "and"'),
        ('entitled "a" or or "b"', 'does not understand "or"'),
        ('entitled "a" not "b"', 'does not understand "not"'),
        ('entitled "a" == "b"', 'does not understand "=="'),
    ],
)
def test_bad_use_of_a_tag_is_a_syntax_error(tag: str, message: str) -> None:
    with pytest.raises(TemplateSyntaxError) as caught:
        rendered(f"{{% {tag} %}}{CHOICE}")
    assert message in str(caught.value)


def test_tag_that_is_not_closed_is_a_syntax_error() -> None:
    with pytest.raises(TemplateSyntaxError, match=r"Unclosed tag.*entitled"):
        rendered('{% entitled "a" %}')


@pytest.mark.parametrize(
    "source",
    [
        "{% entitled wanted %}" + CHOICE,
        '{% entitled "feature-none" and wanted %}' + CHOICE,
        "{% entitlement wanted as e %}",
        "{{ request|has_feature:wanted }}",
    ],
)
def test_variable_without_a_feature_is_an_error(source: str) -> None:
    with pytest.raises(TemplateSyntaxError, match=r"the feature is .*; give its id"):
        rendered(source, request=request_of(WITHIN), wanted=None)


@pytest.mark.parametrize(
    "source", ["{% entitled 'a' %}" + CHOICE, "{% entitlement 'a' as e %}"]
)
def test_template_without_a_request_is_told_how_to_get_one(source: str) -> None:
    template = Template("{% load stigg_guard %}" + source)
    with pytest.raises(ImproperlyConfigured, match=r"no request .* render\(request"):
        template.render(Context({}))
    with pytest.raises(ImproperlyConfigured, match='finds 7 as "request"'):
        template.render(Context({"request": 7}))


def test_filter_without_a_request_is_told_how_to_get_one() -> None:
    with pytest.raises(TemplateSyntaxError, match=r"request\|has_feature"):
        Template("{% load stigg_guard %}{{ nothing|has_feature:'a' }}").render(
            Context({})
        )


def jinja(source: str, request: HttpRequest | None) -> str:
    backend = Jinja2(
        {
            "NAME": "jinja2",
            "DIRS": [],
            "APP_DIRS": False,
            "OPTIONS": {
                "extensions": ["stigg_guard_django.jinja.StiggGuardExtension"],
            },
        }
    )
    return str(backend.from_string(source).render({}, request))


def test_jinja_has_functions_of_the_same_names() -> None:
    source = (
        f'{{% if entitled("{DOMAIN}") and not entitled("{DOMAIN}", "feature-none") %}}'
        f'yes {{{{ entitlement("{TEMPLATES}").remaining }}}}{{% else %}}no{{% endif %}}'
    )
    assert jinja(source, request_of(WITHIN)) == "yes 3"
    assert jinja(source, request_of(AT_LIMIT)) == "no"


def test_jinja_without_a_request_or_a_feature_is_an_error() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"entitled\(\) has no request"):
        jinja('{{ entitled("a") }}', None)
    with pytest.raises(TypeError, match=r"write entitled\(\"feature-01\"\)"):
        jinja("{{ entitled() }}", request_of(WITHIN))


def remaining(request: StiggRequest) -> HttpResponse:
    return HttpResponse(f"{request.stigg.remaining(TEMPLATES):g}")


def shown_later(request: StiggRequest) -> SimpleTemplateResponse:
    template: Any = engines["django"].from_string("{{ stigg|floatformat }}")
    left = SimpleLazyObject(lambda: entitlements_from(request).remaining(TEMPLATES))
    return SimpleTemplateResponse(template, {"stigg": left})


async def aremaining(request: StiggRequest) -> HttpResponse:
    if not await request.stigg.ahas(DOMAIN):
        return HttpResponse("none", status=403)
    return HttpResponse(f"{await request.stigg.aremaining(TEMPLATES):g}")


def test_view_asks_its_request(sidecar: LocalSidecar) -> None:
    with project({"x/": remaining}, target=sidecar.target):
        client = Client(headers={"X-Customer": WITHIN})
        assert client.get("/x/").content == b"3"


@pytest.mark.parametrize(
    ("view", "around"),
    [
        (remaining, ["django.middleware.cache.UpdateCacheMiddleware"]),
        (cache_page(60)(remaining), []),
        (cache_page(60)(shown_later), []),
    ],
)
def test_cache_keeps_no_page_that_shows_what_a_customer_has(
    view: Any, around: list[str], sidecar: LocalSidecar
) -> None:
    cache.clear()
    fetch = ["django.middleware.cache.FetchFromCacheMiddleware"] if around else []
    middleware = [*around, GUARD, *fetch]
    with project({"x/": view}, middleware=middleware, target=sidecar.target):
        pages = [Client(headers={"X-Customer": name}).get("/x/") for name in WHO]
    assert [page.content for page in pages] == [b"3", b"0"]
    assert "private" in pages[0].headers["Cache-Control"]


async def test_async_view_asks_its_request(sidecar: LocalSidecar) -> None:
    with project({"x/": aremaining}, target=sidecar.target):
        client = AsyncClient()
        may = await client.get("/x/", headers={"X-Customer": WITHIN})
        may_not = await client.get("/x/", headers={"X-Customer": AT_LIMIT})
    assert (may.content, may_not.status_code) == (b"3", 403)


def test_entitlements_are_the_subjects_that_the_guard_found(
    sidecar: LocalSidecar,
) -> None:
    calls: list[str] = []

    def resolve(request: HttpRequest) -> Subject:
        calls.append(request.path)
        return Subject(WITHIN, "site-01")

    @requires_feature(DOMAIN)
    def guarded(request: StiggRequest) -> HttpResponse:
        return HttpResponse(str(request.stigg.entitlements.subject))

    with project({"x/": guarded}, target=sidecar.target, customer=resolve):
        assert b"site-01" in Client().get("/x/").content
    assert calls == ["/x/"]


def test_usage_that_the_page_is_about_is_not_in_it_yet(sidecar: LocalSidecar) -> None:
    view = meters_usage(TEMPLATES)(remaining)
    with project({"x/": view}, target=sidecar.target):
        client = Client(headers={"X-Customer": WITHIN})
        answers = [client.post("/x/").content for _ in range(2)]
    assert answers == [b"3", b"2"]


@async_unsafe
def customer_from_orm(request: HttpRequest) -> str | None:
    # What Django's ORM does when it is called on an event loop.
    return customer_of(request)


async def acustomer_of(request: HttpRequest) -> str | None:
    return customer_of(request)


LOCMEM = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.locmem.Loader",
                    {
                        "shown.html": '{% load stigg_guard %}{% entitled "'
                        + DOMAIN
                        + '" %}'
                        + CHOICE
                    },
                )
            ]
        },
    }
]


async def ashown(request: HttpRequest) -> HttpResponse:
    return render(request, "shown.html")


@pytest.mark.parametrize("customer", [customer_of, acustomer_of, customer_from_orm])
async def test_template_of_an_async_view_asks_whoever_resolves_the_customer(
    customer: Any, sidecar: LocalSidecar
) -> None:
    options = {"target": sidecar.target, "customer": customer}
    with project({"x/": ashown}, **options), override_settings(TEMPLATES=LOCMEM):
        client = AsyncClient()
        may = await client.get("/x/", headers={"X-Customer": WITHIN})
        may_not = await client.get("/x/", headers={"X-Customer": AT_LIMIT})
    assert (may.content, may_not.content) == (b"yes", b"no")


@pytest.mark.parametrize("customer", [acustomer_of, customer_from_orm])
def test_template_of_an_async_view_asks_behind_a_real_server(
    customer: Any, sidecar: LocalSidecar
) -> None:
    options = {"target": sidecar.target, "customer": customer}
    with (
        project({"x/": ashown}, **options),
        override_settings(TEMPLATES=LOCMEM, ALLOWED_HOSTS=["*"]),
        uvicorn_serving(ASGIHandler()) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client,
    ):
        answers = [client.get("/x/", headers={"X-Customer": WITHIN}).text]
        answers += [client.get("/x/", headers={"X-Customer": AT_LIMIT}).text]
    assert answers == ["yes", "no"]


def test_entitlements_need_no_middleware_and_keep_no_request() -> None:
    request = request_of(WITHIN)
    found = entitlements_from(request)
    assert entitlements_from(request) is found
    gone = weakref.ref(request)
    del request
    gc.disable()
    try:
        assert gone() is None
    finally:
        gc.enable()
    with pytest.raises(RuntimeError, match="a request that is over"):
        found.has(DOMAIN)
