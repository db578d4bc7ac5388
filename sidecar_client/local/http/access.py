"""Who may use the HTTP side: hosts, sites, tokens.

The rules live here, as a judgement on a request's headers; the middleware that applies
them (`gate`) does not.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request

from sidecar_client.local.http.options import HttpOptions
from sidecar_client.local.ports import is_loopback
from sidecar_client.local.shown import shown

_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """Why a request is turned away."""

    status: int
    message: str


class Access:
    """The rules of one sidecar.

    Without a token the port is on loopback, and what has to be kept out are web pages:
    a `Host` that is no loopback address is one that was rebound by its DNS, and a
    request that a browser marks as coming from another site is not ours. With a token
    any name may lead here, and every request has to show it, but for probes of health.
    """

    def __init__(self, options: HttpOptions) -> None:
        self._token = options.token
        self._host = options.host.lower()
        self._open = (options.health_path, options.ready_path)

    def turns_away(self, request: Request) -> Turned | None:
        """Why the request may not pass; None if it may."""
        return (
            self._wrong_host(request)
            or self._other_site(request)
            or self._no_token(request)
        )

    def entry(self, request: Request) -> bool:
        """Whether somebody comes in by `/?token=`, which is remembered in a cookie."""
        if self._token is None or request.url.path != "/" or request.method != "GET":
            return False
        return _same(request.query_params.get("token", ""), self._token)

    def cookie(self, request: Request) -> tuple[str, str]:
        """Name and value of the cookie. Cookies go to all ports of a host, so that the
        name tells ours, and the value does not tell the token."""
        server = request.scope.get("server") or ("", 0)
        name = f"stigg_guard_{server[1]}"
        value = hmac.new((self._token or "").encode(), name.encode(), sha256)
        return name, value.hexdigest()

    def _wrong_host(self, request: Request) -> Turned | None:
        given = request.headers.get("host")
        if self._token is not None or given is None or self._is_ours(given):
            return None
        return Turned(
            status=421,
            message=f"the host {shown(given)} is not this machine's loopback; use "
            "http://127.0.0.1, or run the sidecar with --token to be reached by "
            "other names",
        )

    def _is_ours(self, host: str) -> bool:
        name = _hostname(host)
        return name is not None and (
            name == self._host or is_loopback(name) or name.endswith(".localhost")
        )

    def _other_site(self, request: Request) -> Turned | None:
        site = request.headers.get("sec-fetch-site", "none").lower()
        origin = request.headers.get("origin")
        changes = request.method not in _SAFE
        foreign = site not in ("none", "same-origin") and (
            changes or not _is_visit(request)
        )
        if origin is not None and not foreign:
            host = request.headers.get("host", "")
            foreign = urlsplit(origin).netloc.lower() != host.lower()
        if not foreign:
            return None
        return Turned(
            status=403,
            message=f"the request comes from another site ({shown(origin or site)}); "
            "only pages of the sidecar itself and programs may send it",
        )

    def _no_token(self, request: Request) -> Turned | None:
        if self._token is None or request.url.path in self._open:
            return None
        if any(_same(given, self._token) for given in _given(request)):
            return None
        name, value = self.cookie(request)
        if _same(request.cookies.get(name, ""), value):
            return None
        return Turned(
            status=401,
            message="the token is missing or wrong; send it as `Authorization: Bearer "
            "TOKEN` or `X-API-KEY: TOKEN`, or open /?token=TOKEN in a browser",
        )


def _hostname(host: str) -> str | None:
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return None if name is None else name.rstrip(".")


def _is_visit(request: Request) -> bool:
    """A person who follows a link from elsewhere; its page sees nothing of ours."""
    return (
        request.method == "GET"
        and request.headers.get("sec-fetch-mode") == "navigate"
        and request.headers.get("sec-fetch-dest") == "document"
    )


def _given(request: Request) -> list[str]:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    bearer = credentials.strip() if scheme.lower() == "bearer" else ""
    return [bearer, request.headers.get("x-api-key", "")]


def _same(given: str, expected: str) -> bool:
    """Compared in constant time; bytes, as texts beyond ASCII are not taken."""
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), expected.encode()
    )
