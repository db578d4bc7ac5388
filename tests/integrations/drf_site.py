"""What the tests of Django REST framework share: users by token, and their customer.

The user is known only inside of the framework, as with most authentication of APIs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import override_settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.test import APIClient
from rest_framework.views import APIView

from stigg_guard import Subject
from stigg_guard_django import entitlements_from
from tests.integrations.django_site import project

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": ["django.template.context_processors.request"]
        },
    }
]
APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "stigg_guard_django",
]


class User:
    """Whoever holds the token: a customer's id, with "staff:" before it for staff."""

    is_authenticated = True
    is_active = True
    is_anonymous = False

    def __init__(self, token: str) -> None:
        self.is_staff = token.startswith("staff:")
        self.customer_id = token.removeprefix("staff:")

    def get_username(self) -> str:
        return self.customer_id


class Tokens(BaseAuthentication):
    """`Authorization: Token <customer>`; a wrong token is "wrong"."""

    def authenticate(self, request: Request) -> tuple[Any, str] | None:
        kind, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind != "Token":
            return None
        if token == "wrong":
            raise AuthenticationFailed("No such token.")
        return User(token), token

    def authenticate_header(self, request: Request) -> str:
        return "Token"


class Api(APIView):
    """A view whose users have tokens."""

    authentication_classes = (Tokens,)


def customer_of(request: Any) -> Subject | None:
    """The customer of the API's user, whom Django's request alone does not know."""
    customer_id = getattr(request.user, "customer_id", None)
    return None if customer_id is None else Subject(customer_id)


@contextmanager
def api(
    views: Mapping[str, Callable[..., Any]], *, urls: Any = None, **guard: object
) -> Generator[None, None, None]:
    """A project whose API has these views by path."""
    options = {"customer": customer_of, **guard}
    with (
        project(views, **options),  # type: ignore[arg-type]  # settings by name
        override_settings(TEMPLATES=TEMPLATES, INSTALLED_APPS=APPS),
    ):
        if urls is None:
            yield
        else:
            with override_settings(ROOT_URLCONF=urls):
                yield


def client(
    token: str | None = None, *, raises: bool = False, **headers: str
) -> APIClient:
    """A client with a token; errors of views are answers, unless it raises them."""
    found = APIClient(raise_request_exception=raises)
    if token is not None:
        headers["authorization"] = f"Token {token}"
    found.credentials(**{f"HTTP_{k.upper()}": v for k, v in headers.items()})
    return found


class AskingEarly:
    """Middleware that asks about the customer before the API knows its user."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def user_of(self, request: HttpRequest) -> Any:
        """Who is logged in, as far as Django knows."""
        session = request.META.get("HTTP_SESSION")
        return AnonymousUser() if session is None else User(session)

    def __call__(self, request: Any) -> Any:
        request.user = self.user_of(request)
        had = entitlements_from(request).has("feature-03-custom-domain")
        response = self.get_response(request)
        response["X-Early"] = str(had)
        return response
