"""Denials for people in Django: pages, redirects, and what htmx is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.test import AsyncClient, Client, override_settings
from django.utils import translation
from django.utils.asyncio import async_unsafe

from sidecar_client.local import LocalSidecar
from stigg_guard_django import meters_usage, requires_feature
from tests.behaviour.routes import AT_LIMIT, DOMAIN, TEMPLATES
from tests.integrations.django_site import configure, project

configure()

BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
MINE = {
    "mine.html": "<h1>{{ title }}</h1>{{ decision.requirement.feature_id }} {{ next }}",
    "mine_fragment.html": "<b>{{ title }}</b>",
    "only.html": "only {{ detail }}",
}


@async_unsafe
def who(request: HttpRequest) -> dict[str, str]:
    # As a page that shows who is logged in: the ORM on an event loop.
    return {"who": "Ada"}


def templates(own: Mapping[str, str] = MINE, *, of_apps: bool = True) -> list[Any]:
    """The TEMPLATES of a project that has these of its own."""
    loaders: list[Any] = [("django.template.loaders.locmem.Loader", dict(own))]
    if of_apps:
        loaders.append("django.template.loaders.app_directories.Loader")
    processors = [f"{__name__}.who"]
    return [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": loaders, "context_processors": processors},
        }
    ]


@pytest.fixture(autouse=True)
def _templates() -> Iterator[None]:
    with override_settings(TEMPLATES=templates()):
        yield


def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


def denied(
    sidecar: LocalSidecar,
    view: Callable[..., Any] | None = None,
    url: str = "/x/",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    customer: str | None = AT_LIMIT,
    **settings: object,
) -> HttpResponse:
    """The answer to a browser whose customer may not."""
    sent = {"Accept": BROWSER, **(headers or {})}
    if customer is not None:
        sent["X-Customer"] = customer
    guarded = requires_feature(DOMAIN)(plain) if view is None else view
    options: dict[str, Any] = {
        "target": sidecar.target,
        "upgrade_url": "/pricing/",
        **settings,
    }
    with project({"x/": guarded}, **options):
        return Client().generic(method, url, headers=sent)  # type: ignore[return-value]


HTMX = {"HX-Request": "true", "Accept": "*/*"}


def test_page_says_what_is_missing_and_leads_to_the_plans(
    sidecar: LocalSidecar,
) -> None:
    answer = denied(sidecar)
    page = answer.content.decode()
    assert answer.status_code == 402
    assert "<h1>Upgrade to continue</h1>" in page
    assert '<a href="/pricing/">See the plans</a>' in page
    assert DOMAIN in page
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Vary"] == "Accept, HX-Request"


def test_page_shows_what_was_used(sidecar: LocalSidecar) -> None:
    answer = denied(sidecar, meters_usage(TEMPLATES)(plain), method="POST")
    page = answer.content.decode()
    assert "6 of 6 used" in page
    assert '<progress max="6" value="6"' in page


def test_numbers_are_written_for_people_and_for_browsers() -> None:
    context = {"title": "Limit", "detail": "x", "usage_limit": 25000}
    with override_settings(USE_THOUSAND_SEPARATOR=True):
        page = render_to_string(
            "stigg_guard/402.html", {**context, "current_usage": 1999.5}
        )
    assert "1,999.5 of 25,000 used" in page
    assert '<progress max="25000" value="1999.5"' in page


def test_page_goes_with_a_content_security_policy() -> None:
    context = {"title": "Limit", "detail": "x"}
    page = render_to_string("stigg_guard/402.html", {**context, "csp_nonce": "abc"})
    assert '<style nonce="abc">' in page
    assert "<style>" in render_to_string("stigg_guard/402.html", context)
    assert "style=" not in page


def test_message_is_shown_as_it_is_written(sidecar: LocalSidecar) -> None:
    view = requires_feature(DOMAIN, message="Ask <Ada> & co.")(plain)
    assert "Ask &lt;Ada&gt; &amp; co." in denied(sidecar, view).content.decode()


def test_page_speaks_the_language_of_its_reader(sidecar: LocalSidecar) -> None:
    view = requires_feature(DOMAIN, message="Yes")(plain)
    with translation.override("de"):
        page = denied(sidecar, view).content.decode()
    assert '<html lang="de">' in page
    assert "<p>Ja</p>" in page


def test_who_is_not_known_may_log_in(sidecar: LocalSidecar) -> None:
    settings: dict[str, Any] = {
        "no_customer": "unauthorized",
        "login_url": "/login/",
    }
    answer = denied(sidecar, url="/x/?a=1", customer=None, **settings)
    assert answer.status_code == 401
    link = b'<a href="/login/?next=/x/%3Fa%3D1">Log in</a>'
    assert link in answer.content
    assert (
        link
        in denied(
            sidecar, url="/x/?a=1", customer=None, headers=HTMX, **settings
        ).content
    )


def test_other_denials_have_a_page_without_an_offer(sidecar: LocalSidecar) -> None:
    answer = denied(sidecar, customer="customer-demo-03")
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "<h1>Account archived</h1>" in page
    assert "See the plans" not in page


def test_project_has_its_own_page(sidecar: LocalSidecar) -> None:
    own = {
        "stigg_guard/402.html": '{% extends "stigg_guard/402.html" %}'
        "{% block head %}<!-- {{ who }} {{ upgrade_url }} -->{% endblock %}"
    }
    with override_settings(TEMPLATES=templates(own)):
        page = denied(sidecar).content.decode()
    assert "<!-- Ada /pricing/ -->" in page
    assert "<h1>Upgrade to continue</h1>" in page


def test_project_without_templates_of_apps_has_a_plain_page(
    sidecar: LocalSidecar,
) -> None:
    with override_settings(TEMPLATES=templates({}, of_apps=False)):
        page = denied(sidecar).content.decode()
        fragment = denied(sidecar, headers=HTMX).content.decode()
    assert "<h1>Upgrade to continue</h1>" in page
    assert fragment.startswith('<div role="alert"><p><strong>Upgrade to continue<')
    with override_settings(TEMPLATES=[]):
        assert "Upgrade to continue" in denied(sidecar).content.decode()


def test_project_with_jinja_has_its_own_page(
    sidecar: LocalSidecar, tmp_path: Path
) -> None:
    (tmp_path / "stigg_guard").mkdir()
    (tmp_path / "stigg_guard" / "402.html").write_text(
        "{{ title }}, {{ request.path }}"
    )
    backend = {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [str(tmp_path)],
    }
    with override_settings(TEMPLATES=[backend]):
        assert denied(sidecar).content == b"Upgrade to continue, /x/"


def test_view_names_its_template(sidecar: LocalSidecar) -> None:
    view = requires_feature(DOMAIN, on_denied="mine.html")(plain)
    answer = denied(sidecar, view, "/x/?a=1")
    assert answer.status_code == 402
    assert answer.content.decode() == f"<h1>Upgrade to continue</h1>{DOMAIN} /x/?a=1"


def test_template_that_is_not_there_is_named(sidecar: LocalSidecar) -> None:
    view = requires_feature(DOMAIN, on_denied="nowhere.html")(plain)
    with pytest.raises(TemplateDoesNotExist, match=r"nowhere\.html"):
        denied(sidecar, view)


def test_json_clients_get_no_page(sidecar: LocalSidecar) -> None:
    view = requires_feature(DOMAIN, on_denied="mine.html")(plain)
    answer = denied(sidecar, view, headers={"Accept": "application/json"})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Vary"] == "Accept, HX-Request"


def test_head_has_the_length_of_the_page_and_no_body(sidecar: LocalSidecar) -> None:
    page = denied(sidecar)
    head = denied(sidecar, method="HEAD")
    assert head.content == b""
    assert head.headers["Content-Length"] == page.headers["Content-Length"]


@pytest.mark.parametrize(
    ("url", "back"),
    [
        ("/x/", "/x/"),
        ("/x/?a=1&b=2", "/x/%3Fa%3D1%26b%3D2"),
        ("/x/?next=//evil.example", "/x/%3Fnext%3D//evil.example"),
    ],
)
def test_redirect_leads_back(url: str, back: str, sidecar: LocalSidecar) -> None:
    view = requires_feature(DOMAIN, on_denied="/plans/?a=b")(plain)
    answer = denied(sidecar, view, url)
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/plans/?a=b&next={back}"


def test_way_back_leads_to_no_other_site(sidecar: LocalSidecar) -> None:
    rules = [{"path": "//evil.example/", "feature": DOMAIN, "on_denied": "/plans/"}]
    with project({"/evil.example/": plain}, target=sidecar.target, rules=rules):
        sent = {"Accept": BROWSER, "X-Customer": AT_LIMIT}
        answer = Client().get("/", headers=sent, PATH_INFO="//evil.example/")
    assert answer.headers["Location"] == "/plans/?next=/%252Fevil.example/"


def test_login_leads_back(sidecar: LocalSidecar) -> None:
    settings: dict[str, Any] = {"no_customer": "login", "login_url": "/login/"}
    answer = denied(sidecar, customer=None, **settings)
    assert answer.headers["Location"] == "/login/?next=/x/"


def test_htmx_gets_a_fragment(sidecar: LocalSidecar) -> None:
    view = meters_usage(TEMPLATES)(plain)
    answer = denied(sidecar, view, method="POST", headers=HTMX)
    body = answer.content.decode()
    assert answer.status_code == 402
    assert body.startswith('<div class="stigg-guard-denial" role="alert">')
    assert "6 of 6 used" in body
    assert '<a href="/pricing/">See the plans</a>' in body
    assert "<html" not in body


@pytest.mark.parametrize(
    "header",
    [
        {"HX-Boosted": "true"},
        {"HX-History-Restore-Request": "true"},
        {"HX-Request-Type": "full"},
    ],
)
def test_htmx_that_wants_a_page_gets_one(
    header: dict[str, str], sidecar: LocalSidecar
) -> None:
    answer = denied(sidecar, headers={**HTMX, **header})
    assert answer.content.startswith(b"<!doctype html>")


def test_htmx_that_asks_for_json_gets_it(sidecar: LocalSidecar) -> None:
    headers = {**HTMX, "Accept": "application/json"}
    answer = denied(sidecar, headers=headers)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("mine.html", "<b>Upgrade to continue</b>"),
        ("only.html", "only The current plan does not include this feature."),
    ],
)
def test_named_template_may_have_a_fragment_beside_it(
    name: str, body: str, sidecar: LocalSidecar
) -> None:
    view = requires_feature(DOMAIN, on_denied=name)(plain)
    assert denied(sidecar, view, headers=HTMX).content.decode() == body


@pytest.mark.parametrize("boosted", [{}, {"HX-Boosted": "true"}])
def test_htmx_is_told_to_go_elsewhere(
    boosted: dict[str, str], sidecar: LocalSidecar
) -> None:
    answer = denied(sidecar, html="redirect", headers={**HTMX, **boosted})
    assert answer.status_code == 402
    assert answer.headers["HX-Redirect"] == "/pricing/"
    assert "Location" not in answer.headers
    assert answer.content == b""


@pytest.mark.parametrize(
    ("page", "back"),
    [
        ("http://testserver/list/?page=2", "/list/%3Fpage%3D2"),
        ("http://testserver", "/"),
        ("http://testserver//evil.example/", "/%252Fevil.example/"),
        ("https://evil.example/list/", "/x/"),
        ("//evil.example/list/", "/x/"),
        ("javascript:alert(1)", "/x/"),
        ("http://[evil.example/", "/x/"),
        ("", "/x/"),
    ],
)
def test_htmx_leads_back_to_the_page_that_a_person_saw(
    page: str, back: str, sidecar: LocalSidecar
) -> None:
    view = requires_feature(DOMAIN, on_denied="/plans/")(plain)
    answer = denied(sidecar, view, headers={**HTMX, "HX-Current-URL": page})
    assert answer.headers["HX-Redirect"] == f"/plans/?next={back}"


async def test_page_of_an_async_view_may_ask_the_database(
    sidecar: LocalSidecar,
) -> None:
    @requires_feature(DOMAIN, on_denied="who.html")
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("plain")

    async def ruled(request: HttpRequest) -> HttpResponse:
        return HttpResponse("plain")

    rules = [{"path": "/ruled/", "feature": DOMAIN, "on_denied": "who.html"}]
    own = templates({"who.html": "{{ who }}"})
    sent = {"Accept": BROWSER, "X-Customer": AT_LIMIT}
    answers: list[HttpResponseBase] = []
    with (
        override_settings(TEMPLATES=own),
        project({"x/": view, "ruled/": ruled}, target=sidecar.target, rules=rules),
    ):
        answers += [await AsyncClient().get("/x/", headers=sent)]
        answers += [await AsyncClient().get("/ruled/", headers=sent)]
    assert [a.status_code for a in answers] == [402, 402]
    assert [getattr(a, "content", None) for a in answers] == [b"Ada", b"Ada"]
